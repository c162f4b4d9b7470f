"""Bytes of real terminals, where they lie beside the checkout; skipped where they do not.

Real: every byte, captured by others. What our own vectors say stands in the other files.
"""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from punchgate.protocols.zk import choice, commkey, events, packets, records, tables, users
from punchgate.protocols.zk.choice import Choice, Known
from punchgate.protocols.zk.commands import Command
from punchgate.protocols.zk.layouts import LayoutName
from punchgate.protocols.zk.moment import Said
from punchgate.protocols.zk.packets import Packet, TcpCodec
from punchgate.wire.event import Reading
from tests import shared_data

_NOW = datetime.fromisoformat("2026-06-21T09:30:00")


def _path(name: str) -> Path:
    found = shared_data.find(f"samples/pull4370/{name}")
    if found is None:
        pytest.skip("The samples are not here.")
    return found


def _json(name: str) -> Any:
    return json.loads(_path(name).read_text("utf-8"))


def _lines(name: str) -> list[Any]:
    return [json.loads(line) for line in _path(name).read_text("utf-8").splitlines()]


def _hex(name: str) -> bytes:
    return bytes.fromhex(_path(name).read_text("utf-8"))


def _rows(name: str) -> bytes:
    return b"".join(bytes.fromhex(line["hex"]) for line in _lines(name))


def test_checksums() -> None:
    for vector in _json("checksum_vectors.json"):
        packet = packets.decode(bytes.fromhex(vector["payload"]))
        assert f"{packets.checksum(*packet):04x}" == vector["checksum"]


def test_comm_keys() -> None:
    for vector in _json("commkey_vectors.json"):
        if "auth" in vector:
            assert commkey.scramble(vector["key"], vector["session"]).hex() == vector["auth"]


def test_frames_of_f19_are_read_and_written() -> None:
    lines = _lines("real_f19_packets.jsonl")
    codec = TcpCodec()
    codec.feed(b"".join(bytes.fromhex(line["hex"]) for line in lines))
    for line, packet in zip(lines, codec.events(), strict=True):
        said = (line["command"], line["session"], line["reply"], bytes.fromhex(line["data"]))
        assert packet == Packet(*said)
        assert packets.frame(packet).hex() == line["hex"]


def test_the_user_that_f19_was_sent() -> None:
    line = next(one for one in _lines("real_f19_packets.jsonl") if one["command"] == 8)
    user = users.read(bytes.fromhex(line["data"]))
    assert (user.uid, user.permission, user.name, user.user_id) == (14, 6, "Nuevo", "11224488")


def test_the_conversation_of_k40_is_framed_and_its_rows_are_refused() -> None:
    codec = TcpCodec()
    codec.feed(
        b"".join(bytes.fromhex(line["hex"]) for line in _lines("real_k40_legacy_attlog.jsonl"))
    )
    table = b"".join(packet.data for packet in codec.events() if packet.command == Command.DATA)
    assert len(table) == 124
    rows = tables.rows_of(table)
    assert len(rows) == 120
    for known in (Known(_NOW), Known(_NOW, count=3), Known(_NOW, count=3, stored="40")):
        assert choice.choose(rows, known) is None


def test_the_user_with_garbage_behind_the_nul() -> None:
    user = users.read(_hex("real_user72_ned.hex"))
    assert (user.uid, user.name, user.user_id, user.password) == (13, "Ned", "555", b"444")


@pytest.mark.parametrize(
    ("name", "layout"),
    [("real_attlog40.jsonl", "40"), ("real_attlog8_layoutB.jsonl", "8B")],
)
def test_attendance_rows(name: str, layout: LayoutName) -> None:
    rows = _rows(name)
    lines = _lines(name)
    assert choice.choose(rows, Known(_NOW, count=len(lines))) == Choice(layout)
    items = records.Reader(layout).read(rows)
    for line, item in zip(lines, items, strict=True):
        assert isinstance(item, Reading)
        assert item.user_code == line.get("user_id", f"uid:{line['uid']}")
        assert item.wall_time is not None
        if "time" in line:
            assert item.wall_time.isoformat() == line["time"]
        if "verify" in line:
            assert item.verify_code == line["verify"]


def test_rows_of_16_are_chosen_and_their_order_is_doubted() -> None:
    rows = _rows("real_attlog16.jsonl")
    assert choice.choose(rows, Known(_NOW)) == Choice("16")
    assert records.looks_swapped(rows)
    items = records.Reader("16").read(rows)
    assert len(items) == 38
    assert all(isinstance(item, Reading) for item in items)
    assert items[3] == items[4]
    swapped = records.Reader("16", order16="state_method").read(rows)
    assert {item.direction_code for item in swapped if isinstance(item, Reading)} == {0, 1}


def test_the_tail_of_49_is_not_measured() -> None:
    tail = bytes.fromhex(_json("real_attlog49_tail.json")["hex"])
    rows = b"".join(bytes.fromhex(line["hex"]) + tail for line in _lines("real_attlog40.jsonl")) * 3
    for item in records.Reader("49").read(rows):
        assert isinstance(item, Reading)
        assert (item.mask, item.temperature_c) == (None, None)


def test_an_operation() -> None:
    (row,) = tables.read_operations(_hex("real_oplog16.hex"))
    assert (row.operation, str(row.said)) == (6, "2018-06-25 16:09:38")


def test_the_counters_of_f18() -> None:
    sizes = tables.read_free_sizes(_hex("real_f18_free_sizes.hex"))
    assert (sizes.users, sizes.user_capacity, sizes.users_free) == (3, 5_000, 4_997)
    assert (sizes.fingers, sizes.finger_capacity, sizes.fingers_free) == (3, 3_000, 2_997)
    assert (sizes.records, sizes.record_capacity, sizes.records_free) == (58, 100_000, 99_942)
    assert sizes.operations == 90
    assert tables.write_free_sizes(sizes) == _hex("real_f18_free_sizes.hex")


def test_the_counters_of_h5l() -> None:
    fields = _json("real_h5l_free_sizes.json")["fields"]
    data = b"".join(each.to_bytes(4, "little") for each in fields).ljust(112, b"\0")
    sizes = tables.read_free_sizes(data)
    assert (sizes.users, sizes.records, sizes.record_capacity) == (567, 0, 200_000)


def test_live_events() -> None:
    for line in _lines("real_realtime_events.jsonl"):
        (seen,) = events.read(line["event"], bytes.fromhex(line["data"]))
        assert isinstance(seen, Reading)
        assert seen.wall_time is not None
        said = (seen.user_code, seen.verify_code, seen.direction_code, seen.wall_time.isoformat())
        assert said == (line["user_id"], line["verify"], line["state"], line["time"])


def test_reported_times_never_end_a_download() -> None:
    for year, month, day, hour, minute, second in _json("real_bad_timestamps.json")["values"]:
        said = Said(year, month, day, hour, minute, second)
        wall_time = said.wall_time()
        assert wall_time is None or wall_time.year == year
