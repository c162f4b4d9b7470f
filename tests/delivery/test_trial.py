"""A test event: the same way as every other, and a verdict in words.

Real: the sender, every format, a receiver on loopback. Invented: the endpoints.
"""

import base64
import hmac
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from hashlib import sha256
from ipaddress import ip_network
from typing import Any

import pytest

from punchgate import registry
from punchgate.delivery import samples, trial
from punchgate.delivery.sender import Limits, Sender
from punchgate.delivery.trial import Outcome
from punchgate.domain.device import Device
from punchgate.domain.endpoint import Endpoint, Filter, Health, Pace, Secrets, SigningKey
from punchgate.domain.error import Invalid
from punchgate.domain.event import (
    EVENT_TYPES,
    EventType,
    device_json,
    person_json,
    punch_recorded,
)
from punchgate.domain.ids import AccountNo, DeviceId, EndpointId, SerialNumber
from punchgate.domain.target import NOT_ALLOWED, Rules
from tests import receiver
from tests.delivery import sending
from tests.receiver import Answer, Behaviour, Drop, Raw, Receiver
from tests.store import stage

NOW = 1_782_014_403_000
METADATA = "169.254.169.254"
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
RULES = Rules(allow_networks=(ip_network("127.0.0.0/8"),))


@pytest.fixture(name="other_side")
async def _other_side() -> AsyncIterator[Receiver]:
    async with receiver.open() as opened:
        yield opened


def _endpoint(address: str, **changes: Any) -> Endpoint:
    endpoint = Endpoint(
        AccountNo(1),
        EndpointId("ep_a"),
        address,
        "standard",
        Filter(),
        Pace(),
        Secrets((SigningKey(SECRET),), auth_token="their token"),
        "in",
        1,
        NOW,
        Health("active", NOW),
    )
    return replace(endpoint, **changes)


async def _try(
    endpoint: Endpoint, *, kind: EventType = "punch.recorded", rules: Rules = RULES
) -> Outcome:
    form = registry.FORMATS[endpoint.format]
    async with Sender(rules, time.monotonic, limits=Limits(connect_s=2.0)) as sender:
        return await trial.run(sender, form, endpoint, "main", kind=kind, now=lambda: NOW)


async def test_a_test_event_is_signed_and_says_that_it_is_a_test(other_side: Receiver) -> None:
    other_side.otherwise = Answer(200, body=b"thank you")
    outcome = await _try(_endpoint(other_side.url("/hook?x=1")))
    (request,) = other_side.requests
    told = json.loads(request.body)
    assert (told["type"], told["id"], told["account"]) == (
        "endpoint.test",
        outcome.event_id,
        "main",
    )
    assert told["data"]["test"] is True
    assert told["data"]["person"]["code"] == "test"
    signed = f"{outcome.event_id}.{NOW // 1000}.".encode() + request.body
    mac = hmac.new(bytes(range(32)), signed, sha256).digest()
    assert request.headers["webhook-signature"] == f"v1,{base64.b64encode(mac).decode()}"
    assert outcome.is_accepted
    assert (outcome.status, outcome.answer) == (200, "thank you")
    assert outcome.verdict == "The receiver has accepted it."


@pytest.mark.parametrize("kind", EVENT_TYPES)
async def test_there_is_a_sample_of_every_type(other_side: Receiver, kind: EventType) -> None:
    await _try(_endpoint(other_side.url("/")), kind=kind)
    (request,) = other_side.requests
    assert json.loads(request.body)["data"] == json.loads(samples.body(kind))


@pytest.mark.parametrize("name", sorted(registry.FORMATS))
async def test_every_format_can_be_tried(other_side: Receiver, name: str) -> None:
    other_side.otherwise = Answer(200, body=b'{"status":"done"}')
    outcome = await _try(_endpoint(other_side.url("/"), format=name))
    assert outcome.is_accepted
    assert other_side.count == 1
    has_own_types = bool(registry.FORMATS[name].types)
    assert outcome.type == ("punch.recorded" if has_own_types else "endpoint.test")


async def test_a_type_that_has_no_form_in_a_format_is_told(other_side: Receiver) -> None:
    with pytest.raises(Invalid, match=r"cams has no form for summary\.updated"):
        await _try(_endpoint(other_side.url("/"), format="cams"), kind="summary.updated")
    assert other_side.count == 0


async def test_an_endpoint_with_batches_gets_one_event_by_itself(other_side: Receiver) -> None:
    await _try(_endpoint(other_side.url("/"), pace=Pace(batch_max=100)))
    (request,) = other_side.requests
    assert json.loads(request.body)["type"] == "endpoint.test"


@pytest.mark.parametrize(
    ("behaviour", "status", "words"),
    [
        (Answer(400), 400, "could not read"),
        (Answer(401), 401, "signature or the token"),
        (Answer(404), 404, "nothing at this path"),
        (Answer(410), 410, "disable"),
        (Answer(429, {"Retry-After": "7"}), 429, "patience"),
        (Answer(302, {"Location": "http://127.0.0.1/"}), 302, "never followed"),
        (Answer(418), 418, "refuses it"),
        (Answer(500), 500, "fault of its own"),
        (Answer(503), 503, "fault of its own"),
        (Drop(), None, "closed before"),
        (Raw(b"SSH-2.0-OpenSSH\r\n"), None, "not an answer in HTTP"),
    ],
)
async def test_what_went_wrong_is_said_in_words(
    other_side: Receiver, behaviour: Behaviour, status: int | None, words: str
) -> None:
    other_side.otherwise = behaviour
    outcome = await _try(_endpoint(other_side.url("/")))
    assert not outcome.is_accepted
    assert outcome.status == status
    assert words in outcome.verdict


async def test_an_answer_without_the_acknowledgement_is_no_yes(other_side: Receiver) -> None:
    other_side.otherwise = Answer(200, body=b'{"status":"error","message":"no such user"}')
    outcome = await _try(_endpoint(other_side.url("/"), format="cams"))
    assert not outcome.is_accepted
    assert "not acknowledged" in outcome.verdict
    assert outcome.answer is not None
    assert "no such user" in outcome.answer


async def test_of_an_address_that_is_not_allowed_nothing_is_told_but_that(
    other_side: Receiver,
) -> None:
    there = other_side.url("/")
    nobody = "http://127.0.0.1:1025/"
    told = set()
    for address in (there, nobody, "https://10.0.0.1/", f"https://{METADATA}/"):
        outcome = await _try(_endpoint(address), rules=Rules(allow_http=True))
        told.add((outcome.verdict, outcome.status, outcome.answer))
    assert told == {(NOT_ALLOWED, None, None)}
    assert other_side.connections == 0


async def test_a_port_where_nobody_listens_is_told() -> None:
    with sending.nobody() as port:
        outcome = await _try(_endpoint(f"http://127.0.0.1:{port}/"))
    assert "nobody listens there" in outcome.verdict


async def test_a_secret_that_cannot_sign_is_told(other_side: Receiver) -> None:
    endpoint = _endpoint(other_side.url(), secrets=Secrets((SigningKey("whsec_A"),)))
    outcome = await _try(endpoint)
    assert (outcome.is_accepted, outcome.status, other_side.count) == (False, None, 0)
    assert outcome.verdict.startswith("No request could be made of it")


def test_the_sample_of_a_punch_has_the_fields_of_a_real_one() -> None:
    device = Device(AccountNo(1), DeviceId("gate"), SerialNumber("SN1"))
    real = punch_recorded(
        stage.fact().punch, person=person_json("1", None, None), device=device_json(device)
    )
    sample = json.loads(samples.body("punch.recorded"))
    assert sample.pop("test") is True
    assert _shape(sample) == _shape(json.loads(real.body))


def _shape(data: Any) -> Any:
    """Give the names of an object and of the objects in it."""
    if not isinstance(data, dict):
        return None
    # What may be there or not has no fixed form.
    optional = {"position"}
    return {name: None if name in optional else _shape(data[name]) for name in data}
