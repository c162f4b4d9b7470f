"""Captures: an upload that is fed in again is what it was when its device sent it. A real store.

A capture is asked for here line by line; files and counts are held by `tests/cli`.
"""

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from sqlalchemy import select

from punchgate.contracts.ingest_v1 import shapes
from punchgate.domain.error import Invalid
from punchgate.store import schema
from punchgate.usecases import captures, punches
from punchgate.usecases.captures import Upload
from punchgate.wire.event import PunchesSeen
from tests import gateway
from tests.gateway import Gateway

#: Spelled as no encoder of ours would: blanks, an escape, a number with an exponent, a name twice.
_ODD = b'[ {"user_id" : "1001",  "att_time":"yesterday", "x":1e2, "x":"\\u00e9"}\n, 7,\t"text" ]'
_ITEMS = [
    b'{"user_id" : "1001",  "att_time":"yesterday", "x":1e2, "x":"\\u00e9"}',
    b"7",
    b'"text"',
]
_DEEP = b"[" * 100_000 + b"]" * 100_000


@pytest.fixture(name="gate")
async def _gate(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with gateway.open(tmp_path) as gate:
        await gate.add_device("SN1", id="gate", zone="UTC")
        yield gate


def _as_json(body: bytes) -> bytes:
    # As a recorder writes it: on one line.
    return b'{"serial":"SN1","body":' + body.replace(b"\n", b" ") + b"}"


def _as_text(body: bytes) -> bytes:
    return json.dumps({"serial": "SN1", "body": body.decode()}).encode()


async def _held(gate: Gateway) -> dict[str, bytes]:
    held = schema.quarantine
    rows = await gate.context.database.read(
        lambda tx: tx.execute(select(held.c.quarantine_id, held.c.raw)).all()
    )
    return {row[0]: bytes(row[1]) for row in rows}


@pytest.mark.parametrize("line", [_as_json(_ODD), _as_text(_ODD), _as_text(b"\xef\xbb\xbf" + _ODD)])
def test_items_are_cut_out_of_the_body_as_they_were_sent(line: bytes) -> None:
    assert captures.read(line, 1) == Upload("SN1", _ITEMS)


@pytest.mark.parametrize(
    ("line", "items"),
    [
        (_as_json(b'{"a" : 1}'), [b'{"a" : 1}']),
        (_as_text(b' {"a" : 1} '), [b' {"a" : 1} ']),
        (_as_json(b"[]"), []),
        (_as_text(b"[1, 2"), [b"[1, 2"]),
        (_as_text(b"no json"), [b"no json"]),
        (_as_text(b""), [b""]),
        (_as_json(b"7") + b"\r\n", [b"7"]),
    ],
)
def test_what_is_no_batch_is_one_item(line: bytes, items: list[bytes]) -> None:
    assert captures.read(line, 1).items == items


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (b"\xff", "Line 3 of the capture is not text in UTF-8."),
        (_as_json(b'"\xff"'), "Line 3 of the capture is not text in UTF-8."),
        (b"{", "Line 3 of the capture is not JSON."),
        (_as_json(b'"\\ud800"'), "Line 3 of the capture is not JSON."),
        (b"[]", 'Line 3 of the capture is not {"serial": …, "body": …}.'),
        (b'{"serial":"SN1"}', 'Line 3 of the capture is not {"serial": …, "body": …}.'),
        (_as_json(_DEEP), "Line 3 of the capture is nested too deep."),
        (_as_text(_DEEP), "Line 3 of the capture is nested too deep."),
        (_as_text(b'{"a":' + _DEEP + b"}"), "Line 3 of the capture is nested too deep."),
        (_DEEP, 'Line 3 of the capture is not {"serial": …, "body": …}.'),
    ],
)
def test_a_line_that_cannot_be_read_is_invalid_and_named(line: bytes, sentence: str) -> None:
    with pytest.raises(Invalid) as caught:
        captures.read(line, 3)
    assert str(caught.value) == sentence


@pytest.mark.parametrize("write", [_as_json, _as_text])
async def test_what_a_device_sent_is_in_quarantine_once_when_it_is_fed_in_again(
    gate: Gateway, write: Callable[[bytes], bytes]
) -> None:
    items, _ = shapes.read(_ODD, batch_max=10)
    sent = await punches.record(
        gate.context, await gate.entry(), PunchesSeen(items), transport="http", now=gate.clock()
    )
    before = await _held(gate)
    assert set(before) == {receipt.quarantine_id for receipt in sent}

    tally = await captures.feed(gate.context, [captures.read(write(_ODD), 1)], now=gate.clock())

    assert (tally.quarantined, tally.recorded) == (3, 0)
    assert await _held(gate) == before
    assert set(before.values()) == set(_ITEMS)


async def test_an_upload_larger_than_a_slice_is_fed_in_whole(gate: Gateway) -> None:
    items = [
        json.dumps({"user_id": str(number), "att_time": "2026-06-20 09:00:00"}).encode()
        for number in range(1_201)
    ]
    counted: list[int] = []
    tally = await captures.feed(
        gate.context,
        [Upload("NOBODY", items), Upload("SN1", items)],
        now=gate.clock(),
        on_upload=counted.append,
    )
    assert (tally.uploads, tally.recorded, tally.unknown) == (1, 1_201, {"NOBODY"})
    assert counted == [1]
