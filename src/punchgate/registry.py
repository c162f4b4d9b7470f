"""THE table of what we speak: one row per contract, per protocol's reader, per delivery format.

A new one of them is its own folder or module and one row here; nothing is discovered.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from punchgate import __version__
from punchgate.contracts import ingest_v1, manage_v1, report_v1, terminals_rest
from punchgate.delivery.form import Format
from punchgate.delivery.formats import (
    cams,
    cams_v1,
    cams_v2,
    gateway_v3,
    github,
    plain,
    standard,
    stripe,
)
from punchgate.domain.punch import Transport
from punchgate.domain.terminal import Hints
from punchgate.engines.zk import reread
from punchgate.httpkit.edge import App
from punchgate.usecases.context import Reader
from punchgate.wire import attendance
from punchgate.wire.event import Reading, Unreadable


@dataclass(frozen=True, slots=True)
class Contract:
    """A published API: its paths, and what builds its app."""

    name: str
    #: As of `httpkit.router.Mount`: one that ends with a slash stands for all that begin with it.
    paths: tuple[str, ...]
    build: Callable[[Any, Any], App]
    #: Its part of the OpenAPI document: `tags`, `paths`, `components`.
    describe: Callable[[], Mapping[str, Any]]
    #: Whether terminals need it, so that the listener for devices carries it too.
    is_for_devices: bool


CONTRACTS: Final = (
    Contract(
        "ingest_v1",
        ("/api/attendance/",),
        ingest_v1.build,
        ingest_v1.describe,
        is_for_devices=True,
    ),
    Contract(
        "report_v1",
        ("/api/v1/attendance/",),
        report_v1.build,
        report_v1.describe,
        is_for_devices=False,
    ),
    Contract(
        "manage_v1",
        ("/v1/",),
        manage_v1.build,
        manage_v1.describe,
        is_for_devices=False,
    ),
    Contract(
        "terminals_rest",
        terminals_rest.PATHS,
        terminals_rest.build,
        terminals_rest.describe,
        is_for_devices=False,
    ),
)


def _read_http(raw: bytes, _: Hints) -> Reading | Unreadable:
    return attendance.read_bytes(raw)


#: How the kept bytes of one item are read again, by the transport that brought them.
READERS: Final[Mapping[Transport, Reader]] = {
    "http": Reader("attendance/1", _read_http),
    "zk": Reader(reread.NAME, reread.read_bytes),
}

#: How an event looks to a receiver, by the name that an endpoint chooses it by.
FORMATS: Final[Mapping[str, Format]] = {
    row.name: row
    for row in (
        standard.FORMAT,
        plain.FORMAT,
        github.FORMAT,
        stripe.FORMAT,
        gateway_v3.FORMAT,
        cams.FORMAT,
        cams_v2.FORMAT,
        cams_v1.FORMAT,
    )
}


def openapi() -> dict[str, Any]:
    """Describe every published contract as one OpenAPI 3.1 document; it depends on nothing set."""
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "Punchgate",
            "version": __version__,
            "summary": "The published contracts of a self-hosted attendance gateway.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": [],
        "paths": {},
        "components": {},
    }
    for contract in CONTRACTS:
        part = contract.describe()
        document["tags"] += part["tags"]
        document["paths"] |= part["paths"]
        for kind, components in part["components"].items():
            document["components"].setdefault(kind, {}).update(components)
    return document
