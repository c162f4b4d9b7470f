"""`plain`: one flat object, for tools that fill a table from it (Zapier, n8n, Make, Sheets).

The envelope's four fields, then those of `data`: nested names are joined by `_`, lists by commas.
It carries every event type and adds nothing to it. An object that is null keeps its one name
(`"position":null`); one that is there gives a field for each of its own (`position_latitude`).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from punchgate.delivery import render, signing
from punchgate.delivery.form import Format, Rendered
from punchgate.domain.endpoint import Endpoint
from punchgate.domain.event import Entry, instant_text


def _event(entry: Entry, _endpoint: Endpoint, account: str) -> Rendered:
    return Rendered(render.encoded(render.text(_flat(entry, account))), render.JSON)


def _batch(entries: Sequence[Entry], _endpoint: Endpoint, account: str) -> Rendered:
    """Render several events as a batch whose `data` is a list of flat objects."""
    rows = render.text([_flat(entry, account) for entry in entries])
    return Rendered(render.encoded(render.batch_envelope(entries, account, rows)), render.JSON)


def _flat(entry: Entry, account: str) -> dict[str, Any]:
    flat: dict[str, Any] = {
        "id": entry.id,
        "type": entry.type,
        "timestamp": instant_text(entry.received_at),
        "account": account,
    }
    for name, value in _fields(render.read(entry), ""):
        # No event has a field of these four names, and none may take one over.
        flat.setdefault(name, value)
    return flat


def _fields(data: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in data.items():
        if isinstance(value, Mapping):
            yield from _fields(value, f"{prefix}{name}_")
        elif isinstance(value, list):
            yield prefix + name, ",".join([_listed(item) for item in value])
        else:
            yield prefix + name, value


def _listed(item: Any) -> str:
    if item is None:
        return ""
    return item if isinstance(item, str) else render.text(item)


FORMAT: Final = Format(
    name="plain",
    types=frozenset(),
    render=_event,
    render_batch=_batch,
    sign=signing.bearer,
    accepted=render.accepted,
)
