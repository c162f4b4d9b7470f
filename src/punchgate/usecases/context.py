"""The frozen handful that every verb takes first."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from punchgate.domain.punch import Transport
from punchgate.domain.reach import Reach
from punchgate.domain.target import Rules
from punchgate.domain.terminal import Hints
from punchgate.store.database import Database
from punchgate.store.writer import Writer
from punchgate.usecases.directory import Directory
from punchgate.usecases.log import Log
from punchgate.usecases.presence import Presence
from punchgate.vault import Vault
from punchgate.wire.event import Reading, Unreadable


@dataclass(frozen=True, slots=True)
class Reader:
    """How the kept bytes of one item are read again; `name` says which reader and its version."""

    name: str
    #: What is known of the device's rows is given beside them; most bytes need none of it.
    read: Callable[[bytes, Hints], Reading | Unreadable]


@dataclass(frozen=True, slots=True)
class Context:
    """What verbs work with; built once by `app.py`."""

    database: Database
    writer: Writer
    directory: Directory
    presence: Presence
    log: Log
    #: Per transport, how its quarantined bytes are read again.
    readers: Mapping[Transport, Reader]
    #: What seals secrets for the database.
    vault: Vault
    #: Where endpoints may lie; the operator's configuration alone says so.
    targets: Rules
    #: Which terminals may be called; again the configuration alone.
    reach: Reach = field(default_factory=Reach)
