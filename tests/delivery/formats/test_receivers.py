"""Receivers as existing client programs are, written from the published samples and our page.

Simulated: the receivers, each a function that reads a request the way its kind does and answers in
its own style. Real: what we send and how we judge the answer. May be asserted: a receiver that
knows nothing of us understands our request unchanged, and we understand its answer.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, NamedTuple
from urllib.parse import parse_qs

import pytest

from punchgate import registry, vault
from punchgate.delivery.form import Answer, Verdict
from punchgate.domain.endpoint import Endpoint, FormatName
from punchgate.domain.event import Entry
from tests.delivery import samples


class Request(NamedTuple):
    """What arrives at a receiver."""

    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


class Reply(NamedTuple):
    """What a receiver answers, and what it wrote down."""

    status: int
    body: str
    noted: tuple[str, ...] = ()


def odoo(request: Request) -> Reply:
    """Take a punch as the module for Odoo does: device from the address, clock before ` GMT `."""
    if "stgid" not in request.query:
        return Reply(400, '{"status":"error","message":"stgid is required"}')
    real_time = json.loads(request.body)["RealTime"]
    if real_time["AuthToken"] != samples.TOKEN:
        return Reply(200, '{"status":"error","message":"Invalid token"}')
    log = real_time["PunchLog"]
    wall, offset = log["LogTime"].split(" GMT ")
    at = datetime.strptime(f"{wall} {offset}", "%Y-%m-%d %H:%M:%S %z")
    kind = {"CheckIn": "check_in", "CheckOut": "check_out"}[log["Type"]]
    return Reply(
        200,
        '{"status": "done", "message": "Employee not found"}',
        (request.query["stgid"], log["UserId"], kind, str(int(at.timestamp()))),
    )


def node(request: Request) -> Reply:
    """Take a punch as a strict service does: every one of its fields must be there, as its type."""
    log = json.loads(request.body)["RealTime"]["PunchLog"]
    wanted = {"InputType": str, "LogTime": str, "Temperature": str, "Type": str, "UserId": str}
    if any(not isinstance(log.get(name), kind) for name, kind in wanted.items()):
        return Reply(400, '{"error":"missing field"}')
    # The offset is dropped: what remains is what the device shows.
    return Reply(201, '{"Status":"Done"}', (log["UserId"], log["LogTime"][:19], log["InputType"]))


def php(request: Request) -> Reply:
    """Take a punch as the vendor's script does, and answer as text with a byte order mark."""
    raw = json.loads(request.body.decode())
    if "RealTime" not in raw:
        return Reply(200, "Else")
    log = raw["RealTime"]["PunchLog"]
    noted = (
        log["UserId"],
        log["LogTime"],
        log["Type"],
        log["InputType"],
        raw["RealTime"]["OperationID"],
    )
    return Reply(200, '\ufeff{"status":"done"}\r\n', noted)


def bulk(request: Request) -> Reply:
    """Take a page of punches; it believes the count, which is a text."""
    whole = json.loads(request.body)
    rows = whole["PunchLog"]["Log"]
    if len(rows) != int(whole["PunchLog"]["ReturnRowCount"]):
        return Reply(500, "")
    return Reply(200, '{"status":"ok"}', tuple(f"{row['UserID']} {row['LogTime']}" for row in rows))


def encrypted(request: Request) -> Reply:
    """Take an encrypted punch and answer encrypted."""
    plain = vault.envelope_decrypt(request.body, samples.SECURITY_KEY)
    reply = odoo(request._replace(body=plain))
    return reply._replace(
        body=vault.envelope_encrypt(reply.body.encode(), samples.SECURITY_KEY).decode()
    )


def php_v2(request: Request) -> Reply:
    """Take the form field `request_data` as the vendor's script of version 2 does."""
    (text,) = parse_qs(request.body.decode(), strict_parsing=True)["request_data"]
    data = json.loads(text)
    info = data["ApiRequestInfo"]
    if info["Operation"] != "RealTimePunchLog" or info["AuthToken"] != samples.TOKEN:
        return Reply(400, "Invalid request structure")
    return Reply(
        200,
        '{"status":"done"}',
        (
            data["ServiceTagId"],
            info["UserId"],
            str(int(info["OperationTime"])),
            info["OperationData"]["AttendanceType"],
        ),
    )


def php_v1(request: Request) -> Reply:
    """Take the five fields as the oldest scripts do, and answer with a word."""
    form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
    if form["auth_token"] != samples.TOKEN or form["att_type"] not in {"i", "o"}:
        return Reply(200, "error")
    return Reply(200, "ok\n", (form["stgid"], form["userid"], form["att_time"], form["att_type"]))


def delivered(
    name: FormatName,
    receiver: Callable[[Request], Reply],
    *,
    endpoint: Endpoint | None = None,
    entries: list[Entry] | None = None,
) -> tuple[Verdict, Reply]:
    """Send one event, or several as a batch, and judge what the receiver answers."""
    form, to = registry.FORMATS[name], endpoint or samples.endpoint(name)
    sent = entries or [samples.entry()]
    if entries is None:
        rendered = form.render(sent[0], to, "main")
    else:
        assert form.render_batch is not None
        rendered = form.render_batch(sent, to, "main")
    assert rendered is not None
    headers = form.sign(rendered, samples.attempt(sent[0]), to)
    reply = receiver(Request(dict(rendered.query), headers, rendered.content))
    answer = Answer(reply.status, {}, reply.body.encode(), is_cut=False)
    return form.accepted(answer, sent, to), reply


_HEARD: Final[tuple[tuple[FormatName, Callable[[Request], Reply], tuple[str, ...]], ...]] = (
    ("cams", odoo, ("SN7A2300583", "1001", "check_out", "1782014400")),
    ("cams", node, ("1001", "2026-06-21 09:30:00", "Others")),
    (
        "cams",
        php,
        ("1001", "2026-06-21 09:30:00 GMT +0530", "CheckOut", "Others", "39680j3oi0bg"),
    ),
    ("cams-v2", php_v2, ("SN7A2300583", "1001", "1782014400", "CheckOut")),
    ("cams-v1", php_v1, ("SN7A2300583", "1001", "1782014400", "o")),
)


@pytest.mark.parametrize(
    ("name", "receiver", "noted"), _HEARD, ids=[row[1].__name__ for row in _HEARD]
)
def test_a_receiver_understands_our_request_and_we_its_answer(
    name: FormatName, receiver: Callable[[Request], Reply], noted: tuple[str, ...]
) -> None:
    verdict, reply = delivered(name, receiver)
    assert reply.noted == noted
    assert verdict == Verdict(is_accepted=True)


def test_a_receiver_that_decrypts_acknowledges_encrypted() -> None:
    endpoint = samples.endpoint("cams", security_key=samples.SECURITY_KEY)
    verdict, reply = delivered("cams", encrypted, endpoint=endpoint)
    assert reply.noted == ("SN7A2300583", "1001", "check_out", "1782014400")
    assert verdict.is_accepted


def test_a_receiver_of_pages_takes_a_batch_as_a_whole() -> None:
    verdict, reply = delivered("cams", bulk, entries=samples.several(3))
    assert reply.noted == ("1001 2026-06-21 09:30:00 GMT +0530",) * 3
    assert verdict == Verdict(is_accepted=True)


@pytest.mark.parametrize(
    ("name", "receiver"), [("cams", odoo), ("cams-v2", php_v2), ("cams-v1", php_v1)]
)
def test_a_wrong_token_is_not_taken_for_a_yes(
    name: FormatName, receiver: Callable[[Request], Reply]
) -> None:
    wrong = samples.endpoint(name, auth_token="another")
    verdict, reply = delivered(name, receiver, endpoint=wrong)
    assert reply.noted == ()
    assert not verdict.is_accepted


def test_odoo_answering_done_at_first_contact_is_not_taken_for_a_yes() -> None:
    def first_contact(_request: Request) -> Reply:
        return Reply(403, '{"status":"done","message":"Database changed"}')

    verdict, _ = delivered("cams", first_contact)
    assert verdict == Verdict(is_accepted=False, reason="status 403")


def test_a_receiver_that_knows_signatures_can_verify_what_was_encrypted() -> None:
    """The signature is over the bytes as sent, so it is checked before anything is decrypted."""
    seen: list[Request] = []

    def verifying(request: Request) -> Reply:
        seen.append(request)
        return encrypted(request)

    endpoint = samples.endpoint("cams", security_key=samples.SECURITY_KEY)
    verdict, _ = delivered("cams", verifying, endpoint=endpoint)
    assert verdict.is_accepted
    ((_, headers, body),) = seen
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    digest = hmac.new(bytes(range(32)), signed, hashlib.sha256)
    version, _, proof = headers["webhook-signature"].partition(",")
    assert version == "v1"
    assert base64.b64decode(proof, validate=True) == digest.digest()
