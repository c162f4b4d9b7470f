"""`cams-v2`: the older callback, a form with one field that holds JSON.

It carries punches; every other type is passed over, and so is the punch of an erased person. A
form of it for several events was never published, so they are sent one by one whatever `batch_max`
says.
"""

from typing import Final
from urllib.parse import urlencode

from punchgate.delivery import render, signing, vendor
from punchgate.delivery.form import Format, Rendered
from punchgate.domain.endpoint import Endpoint
from punchgate.domain.event import Entry


def _event(entry: Entry, endpoint: Endpoint, _account: str) -> Rendered | None:
    data = vendor.punch(entry)
    if data is None:
        return None
    body = {
        "ServiceTagId": render.find(data, "device.serial"),
        "ApiRequestInfo": {
            "AuthToken": endpoint.secrets.auth_token or "",
            "Operation": "RealTimePunchLog",
            "OperationTime": str(entry.occurred_at // 1000),
            "UserId": render.find(data, "person.code"),
            "OperationReferenceId": vendor.operation_id(entry),
            "OperationData": {
                "AttendanceType": vendor.direction(data, endpoint),
                "InputType": vendor.method(data),
            },
        },
    }
    content = urlencode({"request_data": render.text(body)}, errors="replace")
    return Rendered(content.encode("ascii"), render.FORM)


FORMAT: Final = Format(
    name="cams-v2",
    types=frozenset({"punch.recorded"}),
    render=_event,
    render_batch=None,
    sign=signing.standard,
    accepted=vendor.accepted,
    batch_max=1,
)
