"""What several formats share: the envelope, the batch, reading a body, and the plain yes or no.

Answers for bytes that never change: the same events give the same request at every attempt and in
every replay. It knows no endpoint's secret, and no name that a receiver reads beyond the envelope.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from punchgate.delivery.form import Answer, Rendered, Verdict, batch_id
from punchgate.domain.endpoint import Endpoint
from punchgate.domain.event import Entry, envelope, instant_text

JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"

#: Long enough for a sentence, short enough for a table: a receiver writes it, we keep it.
_REASON_LENGTH: Final = 300
#: A list of failed events that begins and is not empty.
_FAILED: Final = re.compile(rb'"failed"\s*:\s*\[\s*[^\s\]]')
_ACCEPTED: Final = Verdict(is_accepted=True)


def event(entry: Entry, _endpoint: Endpoint, account: str) -> Rendered:
    """Render one event as its envelope."""
    return Rendered(encoded(envelope(entry, account)), JSON)


def batch(entries: Sequence[Entry], _endpoint: Endpoint, account: str) -> Rendered:
    """Render several events as one envelope of the type `batch`."""
    rows = ",".join([envelope(entry, account) for entry in entries])
    return Rendered(encoded(batch_envelope(entries, account, f"[{rows}]")), JSON)


def batch_envelope(entries: Sequence[Entry], account: str, data: str) -> str:
    """Write the envelope of a batch around its events.

    Its time is that of the newest event, so that the same batch has the same bytes whenever it is
    sent.
    """
    at = instant_text(max(entry.received_at for entry in entries))
    return (
        f'{{"id":"{batch_id(entries)}","type":"batch","timestamp":"{at}",'
        f'"account":{text(account)},"data":{data}}}'
    )


def read(entry: Entry) -> Mapping[str, Any]:
    """Read the body of an entry."""
    data = json.loads(entry.body)
    return data if isinstance(data, dict) else {}


def find(data: Any, path: str) -> Any:
    """Give a field by its names, joined by dots; None where it is absent, or a part of it null."""
    for name in path.split("."):
        if not isinstance(data, Mapping):
            return None
        data = data.get(name)
    return data


def is_erased(data: Mapping[str, Any]) -> bool:
    """Say whether an event is the tombstone of an erased person's."""
    return data.get("erased") is True


def text(value: Any) -> str:
    """Write compact JSON, letters as they are, keys in the order of their making."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def encoded(content: str) -> bytes:
    """Encode a body; half a surrogate pair, which is no character, becomes a question mark."""
    return content.encode("utf-8", "replace")


def accepted(answer: Answer, entries: Sequence[Entry], _endpoint: Endpoint) -> Verdict:
    """Take any 2xx as a yes, but for the events of a batch that it names as failed.

    `{"failed":["evt_…", {"id":"evt_…","reason":"…"}]}` names them; an id that was not sent and a
    body of any other form mean nothing. Where the list was too long to be read to its end the whole
    batch counts as refused: its events come again one by one, and need no list.
    """
    if not 200 <= answer.status < 300:
        return Verdict(is_accepted=False, reason=f"status {answer.status}")
    if not _FAILED.search(answer.body):
        return _ACCEPTED
    if answer.is_cut:
        return Verdict(is_accepted=False, reason="the list of failed events is too long to read")
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        return _ACCEPTED
    failed = found.get("failed") if isinstance(found, dict) else None
    return Verdict(is_accepted=True, refused=_refused(failed, {entry.id for entry in entries}))


def _refused(failed: Any, sent: set[str]) -> dict[str, str]:
    refused: dict[str, str] = {}
    for row in failed if isinstance(failed, list) else ():
        named, reason = (row.get("id"), row.get("reason")) if isinstance(row, dict) else (row, None)
        if isinstance(named, str) and named in sent:
            told = reason if isinstance(reason, str) else "named as failed"
            refused[named] = told[:_REASON_LENGTH]
    return refused
