"""Bodies: what is JSON in UTF-8 and what is not, how deep it may go, and how it may arrive.

Real: the app, the store. The messages are those that a server hands on; a server's own part is in
tests/httpkit.
"""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from punchgate.contracts.ingest_v1 import shapes
from punchgate.contracts.ingest_v1.errors import Refused
from tests import asgi
from tests.contracts.ingest_v1.conftest import BASE, OK, PUNCH, TIME, Stage

BOM = b"\xef\xbb\xbf"
HEAD = b'{"user_id":"1001","att_time":"2026-06-21 09:30:00"'


def code(body: bytes) -> str:
    """Give the code of a body's refusal, or an empty text."""
    try:
        shapes.read(body, batch_max=1_000)
    except Refused as refused:
        return refused.refusal.code
    return ""


MALFORMED = [
    HEAD + b',"a":NaN}',
    HEAD + b',"a":Infinity}',
    HEAD + b',"a":-Infinity}',
    HEAD + b',"a":"\\ud800"}',
    HEAD + b',"a":"\\ude00\\ud83d"}',
    HEAD + b',"\\ud800":1}',
    HEAD + b',"a":"\xff"}',
    HEAD + b',"a":"\xed\xa0\x80"}',
    HEAD + b',"a":"\xc0\xaf"}',
    HEAD + b',"a":"\x00"}',
    HEAD + b',"a":01}',
    HEAD + b',"a":.5}',
    HEAD + b",'a':1}",
    HEAD + b",}",
    HEAD + b"} x",
    HEAD + b"}{}",
    HEAD,
    json.dumps(PUNCH).encode("utf-16"),
    json.dumps(PUNCH).encode("utf-32-le"),
    # A number that the fast decoder leaves to the standard library must not bring these along.
    HEAD + b',"n":1e999,"a":NaN}',
    HEAD + b',"n":1e999,"a":"\\ud800"}',
    HEAD + b',"n":1e999,"\\ud800":1}',
    HEAD + b',"n":1e999,"a":"\xed\xa0\x80"}',
    HEAD + b',"n":1e999,"a":"\xff"}',
]


@pytest.mark.parametrize("body", MALFORMED)
def test_what_is_malformed_is_no_body(body: bytes) -> None:
    assert code(body) == "invalid_body"
    # One malformed item makes the whole request malformed: where it ends nobody can say.
    assert code(b"[" + HEAD + b"}," + body + b"]") == "invalid_body"


@pytest.mark.parametrize(
    "number", [b"1e999", b"-1e999", b"1.0E400", b"9" * 30, b"9" * 5_000, b"-" + b"9" * 5_000]
)
async def test_a_number_of_any_size_is_json(stage: Stage, number: bytes) -> None:
    answer = await stage.post(HEAD + b',"a":' + number + b"}")
    assert (answer.status, answer.headers["punch-status"]) == (200, "recorded")
    assert stage.rows("SELECT raw FROM punch") == [(HEAD + b',"a":' + number + b"}",)]


@pytest.mark.parametrize("brackets", [(b"[", b"]"), (b'{"a":', b"}")])
@pytest.mark.parametrize("is_batch", [False, True])
def test_thirty_two_levels_are_read_and_thirty_three_are_not(
    brackets: tuple[bytes, bytes],
    is_batch: bool,  # noqa: FBT001 (a parameter of the table)
) -> None:
    opening, closing = brackets

    def nested(levels: int) -> bytes:
        inner = levels - (2 if is_batch else 1)
        value = opening * inner + b"1" + closing * inner
        # Brackets inside a text are no levels.
        item = HEAD + b',"t":"[[[{\\"[{","x":' + value + b',"y":[],"z":{}}'
        return b"[" + item + b"]" if is_batch else item

    assert code(nested(32)) == ""
    assert code(nested(33)) == "invalid_body"


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_a_body_that_only_opens_ends_as_one_refusal(opening: bytes) -> None:
    assert code(opening * 200_000) == "invalid_body"
    assert code(b"[" + opening * 200_000) == "invalid_body"
    assert code(HEAD + b',"a":' + opening * 200_000 + b"1") == "invalid_body"


def test_many_brackets_side_by_side_are_not_deep() -> None:
    assert code(HEAD + b',"a":[' + b"[]," * 10_000 + b"{}]}") == ""


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=60) | st.text(alphabet='[]{}":,\\1 a', max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    assert code(body) in {"", "invalid_body"}
    assert code(b"[" + body + b"]") in {"", "invalid_body"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("ab"), inner),
    max_leaves=10,
)  # fmt: skip


@given(JSON)
def test_every_json_value_is_a_body(value: object) -> None:
    assert code(json.dumps(value, ensure_ascii=False).encode()) == ""
    assert code(json.dumps([value]).encode()) == ""


async def test_a_byte_order_mark_is_no_part_of_the_body(stage: Stage) -> None:
    plain = await stage.post({**PUNCH, "att_time": "x"})
    marked = await stage.post(BOM + json.dumps({**PUNCH, "att_time": "x"}).encode())
    assert marked.headers["quarantine-id"] == plain.headers["quarantine-id"]
    assert (await stage.post(BOM + b"[]")).json()["results"] == []
    assert (await stage.post(BOM)).status == 400


async def test_the_last_of_two_equal_names_counts(stage: Stage) -> None:
    await stage.post(b'{"user_id":"1","att_time":"%s","user_id":"2"}' % TIME.encode())
    await stage.post(b'[{"user_id":"3","att_time":"x","att_time":"%s"}]' % TIME.encode())
    assert stage.rows("SELECT user_code FROM punch ORDER BY 1") == [("2",), ("3",)]


async def test_a_body_in_parts_is_one_body(stage: Stage) -> None:
    whole = json.dumps(PUNCH).encode()
    answer = await stage.post([whole[:10], b"", whole[10:11], whole[11:]])
    assert (answer.status, answer.body) == (200, OK)
    assert stage.rows("SELECT raw FROM punch") == [(whole,)]


async def test_a_body_of_exactly_the_cap_is_read(stage: Stage) -> None:
    body = json.dumps(PUNCH).encode().ljust(1_048_576)
    assert (await stage.post(body)).status == 200
    assert (await stage.post([body[:70_000], body[70_000:]])).status == 200


async def test_who_hangs_up_before_the_end_is_not_answered(stage: Stage) -> None:
    messages: list[dict[str, object]] = []
    sent: list[object] = []

    async def receive() -> dict[str, object]:
        return messages.pop(0)

    async def send(message: object) -> None:
        sent.append(message)

    headers = [*stage.headers.items(), ("transfer-encoding", "chunked")]
    for first in (b"", json.dumps(PUNCH).encode()):
        messages[:] = [
            {"type": "http.request", "body": first, "more_body": True},
            {"type": "http.disconnect"},
        ]
        await stage.app(asgi._scope("POST", BASE + "punch", headers), receive, send)
        assert sent == []
    assert stage.rows("SELECT count(*) FROM punch") == [(0,)]
