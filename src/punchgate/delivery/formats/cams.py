"""`cams`: the 3.0 callback of existing client programs, encrypted where both sides agreed.

It carries punches; every other type has no form in it and is passed over, and so is the punch of
an erased person. Nothing of a body depends on the time of the attempt. The signature is that of
Standard Webhooks, over the bytes as sent: old receivers ignore it, and it is all the proof there
is, because the cipher of this form has no integrity.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from punchgate import vault
from punchgate.delivery import render, signing, vendor
from punchgate.delivery.form import Answer, Format, Rendered, Verdict
from punchgate.domain.endpoint import Endpoint
from punchgate.domain.event import Entry

#: The vendor's own page of a bulk request.
_BULK_MAX: Final = 50


def _event(entry: Entry, endpoint: Endpoint, _account: str) -> Rendered | None:
    data = vendor.punch(entry)
    if data is None:
        return None
    serial = str(render.find(data, "device.serial"))
    temperature = data.get("temperature_c")
    body = {
        "RealTime": {
            "OperationID": vendor.operation_id(entry),
            "LabelName": render.find(data, "device.name") or "",
            "SerialNumber": serial,
            "PunchLog": {
                "Type": vendor.direction(data, endpoint),
                # Always there: one receiver refuses a body without it.
                "Temperature": "" if temperature is None else f"{temperature:.1f}",
                "FaceMask": data.get("mask") is True,
                "InputType": vendor.method(data),
                "UserId": render.find(data, "person.code"),
                "LogTime": vendor.device_time(data),
            },
            "AuthToken": endpoint.secrets.auth_token or "",
            "Time": vendor.recorded_time(entry),
        }
    }
    return _sent(body, serial, endpoint)


def _batch(entries: Sequence[Entry], endpoint: Endpoint, _account: str) -> Rendered | None:
    """Render the punches of one device as a bulk request; it is acknowledged as a whole."""
    punches = [(entry, data) for entry in entries if (data := vendor.punch(entry)) is not None]
    if not punches:
        return None
    newest = max((entry for entry, _ in punches), key=lambda entry: entry.received_at)
    serial = str(render.find(punches[0][1], "device.serial"))
    body = {
        "PunchLog": {
            "ReturnRowCount": str(len(punches)),
            "Log": [_row(data, endpoint) for _, data in punches],
        },
        "SerialNumber": serial,
        "AuthToken": endpoint.secrets.auth_token or "",
        "Time": vendor.recorded_time(newest),
    }
    return _sent(body, serial, endpoint)


def _row(data: Mapping[str, Any], endpoint: Endpoint) -> dict[str, Any]:
    code = render.find(data, "person.code")
    return {
        "Type": vendor.direction(data, endpoint),
        # Both spellings: receivers disagree on which one they read.
        "UserID": code,
        "UserId": code,
        "LogTime": vendor.device_time(data),
        "InputType": vendor.method(data),
    }


def _sent(body: Mapping[str, Any], serial: str, endpoint: Endpoint) -> Rendered:
    content = render.encoded(render.text(body))
    if endpoint.secrets.security_key is not None:
        content = vault.envelope_encrypt(content, endpoint.secrets.security_key)
    return Rendered(content, render.JSON, query=(("stgid", serial),))


def _device(entry: Entry) -> str:
    data = vendor.punch(entry)
    return "" if data is None else str(render.find(data, "device.serial"))


def _accepted(answer: Answer, _entries: Sequence[Entry], endpoint: Endpoint) -> Verdict:
    """Judge as the other forms do; an answer that is no plain JSON may be encrypted as we were."""
    said = vendor.spoken(answer.body)
    key = endpoint.secrets.security_key
    if key is not None and vendor.json_object(said) is None:
        try:
            said = vendor.spoken(vault.envelope_decrypt(said.encode(), key))
        except ValueError:
            return vendor.judged(answer, said)
    return vendor.judged(answer, said)


FORMAT: Final = Format(
    name="cams",
    types=frozenset({"punch.recorded"}),
    render=_event,
    render_batch=_batch,
    sign=signing.standard,
    accepted=_accepted,
    batch_max=_BULK_MAX,
    batch_of=_device,
)
