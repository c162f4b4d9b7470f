"""The frozen handful that every verb takes first."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from punchgate.domain.punch import Transport
from punchgate.store.database import Database
from punchgate.store.writer import Writer
from punchgate.usecases.directory import Directory
from punchgate.usecases.presence import Presence
from punchgate.wire.event import Reading, Unreadable


@dataclass(frozen=True, slots=True)
class Reader:
    """How the kept bytes of one item are read again; `name` says which reader and its version."""

    name: str
    read: Callable[[bytes], Reading | Unreadable]


@dataclass(frozen=True, slots=True)
class Context:
    """What verbs work with; built once by `app.py`."""

    database: Database
    writer: Writer
    directory: Directory
    presence: Presence
    #: Per transport, how its quarantined bytes are read again.
    readers: Mapping[Transport, Reader]
