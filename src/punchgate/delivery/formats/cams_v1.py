"""`cams-v1`: the oldest callback, a form with five fields, and a bare word as its acknowledgement.

It carries punches; every other type is passed over, and so is the punch of an erased person. A
form of it for several events was never published, so they are sent one by one whatever `batch_max`
says.
"""

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlencode

from punchgate.delivery import render, signing, vendor
from punchgate.delivery.form import Answer, Format, Rendered, Verdict
from punchgate.domain.endpoint import Endpoint
from punchgate.domain.event import Entry

#: Everything else counts as in.
_OUT: Final = frozenset({"CheckOut", "BreakOut", "OverTimeOut"})


def _event(entry: Entry, endpoint: Endpoint, _account: str) -> Rendered | None:
    data = vendor.punch(entry)
    if data is None:
        return None
    fields = {
        "stgid": render.find(data, "device.serial"),
        "userid": render.find(data, "person.code"),
        "att_time": str(entry.occurred_at // 1000),
        "att_type": "o" if vendor.direction(data, endpoint) in _OUT else "i",
        "auth_token": endpoint.secrets.auth_token or "",
    }
    return Rendered(urlencode(fields, errors="replace").encode("ascii"), render.FORM)


def _accepted(answer: Answer, _entries: Sequence[Entry], _endpoint: Endpoint) -> Verdict:
    """Take 200 or 201 with `ok`, `done`, or an object that says so, as a yes; nothing else."""
    said = vendor.spoken(answer.body)
    if vendor.is_yes(said):
        # The bare word stands for the object that the younger forms want.
        said = '{"status":"done"}'
    return vendor.judged(answer, said)


FORMAT: Final = Format(
    name="cams-v1",
    types=frozenset({"punch.recorded"}),
    render=_event,
    render_batch=None,
    sign=signing.standard,
    accepted=_accepted,
    batch_max=1,
)
