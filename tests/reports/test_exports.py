"""Punches as a list and as a file. Real: the store, the files, the csv module as their reader."""

import csv
import io
import itertools
import json
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punchgate.domain.error import NotFound
from punchgate.domain.ids import DeviceId, PunchId, UserCode
from punchgate.reports import exports, punches
from punchgate.reports.exports import Layout
from punchgate.reports.punches import Filter
from punchgate.usecases import accounts, people
from tests import gateway
from tests.gateway import MAIN, NOON, Gateway

_CSV = Layout(form="csv")
_JSONL = Layout(form="jsonl")
_EVERYTHING = Filter()


def _at(time: str) -> datetime:
    return datetime.fromisoformat(f"2026-06-20 {time}")


@pytest.fixture(name="gate")
async def _gate(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with gateway.open(tmp_path) as gate:
        await gate.add_device("SN1", id="gate", zone="Asia/Kolkata")
        yield gate


async def _punch(gate: Gateway, code: str, at: str, serial: str = "SN1", **more: Any) -> None:
    await gate.punch(serial, {"user_id": code, "att_time": at, "att_state": 0, **more})


async def _export(
    gate: Gateway, layout: Layout = _CSV, wanted: Filter = _EVERYTHING
) -> tuple[str, int]:
    out = io.StringIO(newline="")
    rows = await exports.write(gate.context.database, MAIN, wanted, layout, out)
    return out.getvalue(), rows


async def _codes(gate: Gateway, wanted: Filter, limit: int = 50) -> list[str]:
    rows = await punches.list_punches(gate.context.database, MAIN, wanted, limit=limit)
    return [row.punch.user_code for row in rows]


def _read(text: str) -> Sequence[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


async def test_a_csv_has_a_header_and_one_line_per_punch(gate: Gateway) -> None:
    await _punch(gate, "1001", "2026-06-20 09:30:00", input_type=1, temperature=36.5)
    text, rows = await _export(gate)
    assert rows == 1
    assert text.startswith(",".join(exports.COLUMNS) + "\r\n")
    (line,) = _read(text)
    assert line["wall_time"] == "2026-06-20 09:30:00"
    assert line["at"] == "2026-06-20T04:00:00Z"
    assert line["received_at"] == "2026-06-21T12:00:00.000Z"
    assert line["utc_offset_s"] == "19800"
    assert (line["direction"], line["direction_code"]) == ("check-in", "0")
    assert (line["verify"], line["temperature_c"]) == ("face", "36.5")
    assert (line["name"], line["custom_id"], line["mask"]) == ("", "", "")


async def test_an_empty_export_is_a_header_or_nothing(gate: Gateway) -> None:
    assert await _export(gate) == (",".join(exports.COLUMNS) + "\r\n", 0)
    assert await _export(gate, _JSONL) == ("", 0)


async def test_the_earliest_wall_time_comes_first_in_a_file_and_last_in_a_list(
    gate: Gateway,
) -> None:
    for code, at in (("b", "2026-06-20 10:00:00"), ("c", "2026-06-20 11:00:00")):
        await _punch(gate, code, at)
    await _punch(gate, "a", "2026-06-20 09:00:00")
    text, _ = await _export(gate)
    assert [line["user_code"] for line in _read(text)] == ["a", "b", "c"]
    assert await _codes(gate, _EVERYTHING) == ["c", "b", "a"]
    assert await _codes(gate, _EVERYTHING, limit=2) == ["c", "b"]


async def _punch_all_sorts(gate: Gateway) -> None:
    """Store what repeats and what does not, and what each format has to write with care."""
    await gate.add_device("SN2", id="canteen", zone="America/St_Johns")
    odd: tuple[dict[str, Any], ...] = (
        {},
        {"mask": True, "temperature": 36.5, "work_code": 'a;b,"c"', "att_state": 77},
        {"mask": False, "location": {"lat": 0.00001, "lng": -70.6, "accuracy": 5}},
        {"location": {"lat": -33.9, "lng": 1e-7}, "input_type": 1, "work_code": "-x\\y"},
    )
    for minute, (more, code, serial) in enumerate(
        itertools.product(odd, ("1001", '=1,"+;"', "Zoë \u2028\U0001f600"), ("SN1", "SN2"))
    ):
        await _punch(gate, code, f"2026-06-20 09:{minute:02}:07", serial, **more)
    for code, name in (("1001", 'Rahul "R", jr'), ('=1,"+;"', "@home; \\n")):
        changes = people.Changes(name=name, custom_id=f"-{name[:5]}")
        await people.set_person(gate.context, MAIN, UserCode(code), changes, actor="test", now=NOON)


@pytest.mark.parametrize(
    "layout", [_CSV, Layout(form="csv", delimiter=";", has_bom=True), _JSONL], ids=str
)
async def test_a_file_is_what_csv_and_json_make_of_its_punches_one_by_one(
    gate: Gateway, layout: Layout
) -> None:
    await _punch_all_sorts(gate)
    rows = await punches.list_punches(gate.context.database, MAIN, _EVERYTHING, limit=99)
    expected = io.StringIO(newline="")
    write = _one_by_one_csv if layout.form == "csv" else _one_by_one_jsonl
    write(expected, layout, [exports.record(row) for row in reversed(rows)])
    assert await _export(gate, layout) == (expected.getvalue(), 24)


def _one_by_one_csv(out: io.StringIO, layout: Layout, records: Sequence[dict[str, Any]]) -> None:
    out.write("\ufeff" if layout.has_bom else "")
    writer = csv.writer(out, delimiter=layout.delimiter)
    writer.writerow(exports.COLUMNS)
    said = {"user_code", "name", "custom_id", "work_code"}
    words = {True: "true", False: "false", None: None}
    for record in records:
        guarded = {name: exports.guard(record[name]) for name in said if record[name] is not None}
        writer.writerow({**record, **guarded, "mask": words[record["mask"]]}.values())


def _one_by_one_jsonl(out: io.StringIO, _: Layout, records: Sequence[dict[str, Any]]) -> None:
    lines = (json.dumps(each, ensure_ascii=False, separators=(",", ":")) for each in records)
    out.writelines(f"{line}\n" for line in lines)


async def test_the_bytes_of_both_formats_are_promised(gate: Gateway) -> None:
    await _punch(gate, "007", "2026-06-20 09:30:00", mask=True, temperature=36.5, work_code="=a,b")
    name = people.Changes(name='Zoë, "Z"')
    await people.set_person(gate.context, MAIN, UserCode("007"), name, actor="test", now=NOON)
    text, _ = await _export(gate)
    assert text == (
        "punch_id,user_code,person_no,name,custom_id,device_id,serial,wall_time,at,zone,"
        "utc_offset_s,received_at,direction,direction_code,verify,verify_code,transport,"
        "latitude,longitude,accuracy_m,temperature_c,mask,work_code,flags\r\n"
        '01KVJ5V6E00W7VK6Z7HTFYSR2A,007,1,"Zoë, ""Z""",,gate,SN1,'
        "2026-06-20 09:30:00,2026-06-20T04:00:00Z,"
        "Asia/Kolkata,19800,2026-06-21T12:00:00.000Z,check-in,0,unknown,,http,,,,36.5,true,"
        '"\'=a,b",late_upload\r\n'
    )
    text, _ = await _export(gate, _JSONL)
    assert text == (
        '{"punch_id":"01KVJ5V6E00W7VK6Z7HTFYSR2A","user_code":"007","person_no":1,'
        '"name":"Zoë, \\"Z\\"",'
        '"custom_id":null,"device_id":"gate","serial":"SN1","wall_time":"2026-06-20 09:30:00",'
        '"at":"2026-06-20T04:00:00Z","zone":"Asia/Kolkata","utc_offset_s":19800,'
        '"received_at":"2026-06-21T12:00:00.000Z","direction":"check-in","direction_code":0,'
        '"verify":"unknown","verify_code":null,"transport":"http","latitude":null,'
        '"longitude":null,"accuracy_m":null,"temperature_c":36.5,"mask":true,'
        '"work_code":"=a,b","flags":"late_upload"}\n'
    )


@pytest.mark.parametrize(
    ("ms", "expected"),
    [
        (0, "1970-01-01T00:00:00"),
        (-1, "1969-12-31T23:59:59"),
        (-62_135_596_800_000, "0001-01-01T00:00:00"),
        (1_781_999_999_999, "2026-06-20T23:59:59"),
        (1_782_003_599_009, "2026-06-21T00:59:59"),
        (1_782_003_600_010, "2026-06-21T01:00:00"),
        (253_402_300_799_999, "9999-12-31T23:59:59"),
    ],
)
async def test_instants_are_in_utc_and_to_the_second_or_its_thousandth(
    gate: Gateway, ms: int, expected: str
) -> None:
    await _punch(gate, "1", "2026-06-20 09:30:00")
    (row,) = await punches.list_punches(gate.context.database, MAIN, _EVERYTHING, limit=1)
    moved = punches.Row(row.punch._replace(at=ms // 1000, received_at=ms), None)
    told = exports.record(moved)
    assert (told["at"], told["received_at"]) == (f"{expected}Z", f"{expected}.{ms % 1000:03}Z")


async def test_json_lines_carry_the_raw_text(gate: Gateway) -> None:
    await _punch(gate, "=1+1", "2026-06-20 09:30:00", work_code="-x", mask=True)
    await people.set_person(
        gate.context, MAIN, UserCode("=1+1"), people.Changes(name="@Zoë"), actor="test", now=NOON
    )
    text, _ = await _export(gate, _JSONL)
    line = json.loads(text)
    assert tuple(line) == exports.COLUMNS
    assert (line["user_code"], line["name"], line["work_code"]) == ("=1+1", "@Zoë", "-x")
    assert (line["mask"], line["person_no"], line["utc_offset_s"]) == (True, 1, 19800)
    assert "Zoë" in text


async def test_what_a_spreadsheet_would_execute_is_guarded_in_csv(gate: Gateway) -> None:
    await _punch(gate, "=1+1", "2026-06-20 09:30:00", work_code="@sum")
    await people.set_person(
        gate.context,
        MAIN,
        UserCode("=1+1"),
        people.Changes(name="+49 30 1234", custom_id="-2"),
        actor="test",
        now=NOON,
    )
    (line,) = _read((await _export(gate))[0])
    assert (line["user_code"], line["work_code"]) == ("'=1+1", "'@sum")
    assert (line["name"], line["custom_id"]) == ("'+49 30 1234", "'-2")


async def test_numbers_of_ours_are_not_touched(gate: Gateway) -> None:
    await _punch(
        gate, "1", "2026-06-20 09:30:00", location={"lat": -33.9, "lng": -70.6, "accuracy": 5}
    )
    (line,) = _read((await _export(gate))[0])
    assert (line["latitude"], line["longitude"]) == ("-33.9", "-70.6")


async def test_leading_zeros_and_quotes_survive(gate: Gateway) -> None:
    await _punch(gate, '00"42,x', "2026-06-20 09:30:00")
    (line,) = _read((await _export(gate))[0])
    assert line["user_code"] == '00"42,x'


async def test_a_spreadsheet_may_ask_for_semicolons_and_a_mark(gate: Gateway) -> None:
    await _punch(gate, "1", "2026-06-20 09:30:00")
    text, _ = await _export(gate, Layout(form="csv", delimiter=";", has_bom=True))
    assert text.startswith("\ufeffpunch_id;user_code;")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("1001", "1001"),
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@x", "'@x"),
        ("\tx", "'\tx"),
        ("\rx", "'\rx"),
        ("\nx", "'\nx"),
        ("\0x", "'\0x"),
        ("\uff1d1", "'\uff1d1"),
        ("\uff0b1", "'\uff0b1"),
        ("\uff0d1", "'\uff0d1"),
        ("\uff201", "'\uff201"),
        ("  =1", "'  =1"),
        ("\u00a0=1", "'\u00a0=1"),
        ("\u3000@x", "'\u3000@x"),
        ("a=1", "a=1"),
        ("'=1", "'=1"),
        ("", ""),
    ],
)
def test_a_cell_that_begins_like_a_formula_gets_an_apostrophe(said: str, expected: str) -> None:
    assert exports.guard(said) == expected


@given(st.text(max_size=20))
def test_a_guarded_cell_never_begins_like_a_formula(said: str) -> None:
    assert exports.guard(said).lstrip()[:1] not in set("=+-@\t\r\n\0\uff1d\uff0b\uff0d\uff20")


@given(st.lists(st.text(max_size=20), min_size=1, max_size=5))
def test_a_guarded_line_is_read_back_as_it_was_written(said: list[str]) -> None:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\r\n").writerow([exports.guard(text) for text in said])
    (line,) = csv.reader(io.StringIO(out.getvalue(), newline=""))
    assert line == [exports.guard(text) for text in said]


@pytest.mark.slow
async def test_more_punches_than_a_slice_are_all_there_once(gate: Gateway) -> None:
    many = exports.SLICE + 3
    first = _at("00:00")
    times = [first + timedelta(seconds=number) for number in range(many)]
    for start in range(0, many, 500):
        await gate.punch(
            "SN1", *({"user_id": "1", "att_time": str(t)} for t in times[start : start + 500])
        )
    heard: list[int] = []
    out = io.StringIO(newline="")
    rows = await exports.write(
        gate.context.database, MAIN, _EVERYTHING, _CSV, out, on_rows=heard.append
    )
    assert [line["wall_time"] for line in _read(out.getvalue())] == [str(time) for time in times]
    assert (rows, heard) == (many, [exports.SLICE, 3])


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Filter(device_id=DeviceId("gate")), ["1", "2", "3"]),
        (Filter(device_id=DeviceId("canteen")), ["2"]),
        (Filter(user_code=UserCode("2")), ["2", "2"]),
        (Filter(device_id=DeviceId("gate"), user_code=UserCode("2")), ["2"]),
        (Filter(since=_at("10:00")), ["2", "3", "2"]),
        (Filter(until=_at("10:00")), ["1"]),
        (
            Filter(since=_at("10:00"), until=_at("12:00")),
            ["2", "3"],
        ),
        (Filter(device_id=DeviceId("nowhere")), []),
    ],
)
async def test_a_filter_is_by_device_person_and_wall_time(
    gate: Gateway, wanted: Filter, expected: list[str]
) -> None:
    await gate.add_device("SN2", id="canteen")
    await _punch(gate, "1", "2026-06-20 09:59:59")
    await _punch(gate, "2", "2026-06-20 10:00:00")
    await _punch(gate, "3", "2026-06-20 11:00:00")
    await _punch(gate, "2", "2026-06-20 12:00:00", serial="SN2")
    text, _ = await _export(gate, wanted=wanted)
    assert [line["user_code"] for line in _read(text)] == expected
    assert await _codes(gate, wanted) == expected[::-1]


async def test_one_punch_is_found_with_its_person(gate: Gateway) -> None:
    await people.add(gate.context, MAIN, "1", people.Changes(name="Rahul"), actor="test", now=NOON)
    (receipt,) = await gate.punch("SN1", {"user_id": "1", "att_time": "2026-06-20 09:30:00"})
    assert receipt.punch_id is not None
    row = await punches.get(gate.context.database, MAIN, receipt.punch_id)
    assert row.person is not None
    assert (row.punch.user_code, row.person.name) == ("1", "Rahul")
    assert b"2026-06-20 09:30:00" in row.punch.raw


async def test_a_punch_that_is_not_there_is_told(gate: Gateway) -> None:
    with pytest.raises(NotFound, match="quarantine"):
        await punches.get(gate.context.database, MAIN, PunchId("0" * 26))


async def test_I12_punches_of_another_account_are_not_there(gate: Gateway) -> None:
    other = await accounts.add(gate.context, "other", actor="test", now=NOON)
    (receipt,) = await gate.punch("SN1", {"user_id": "1", "att_time": "2026-06-20 09:30:00"})
    assert receipt.punch_id is not None
    database = gate.context.database
    with pytest.raises(NotFound):
        await punches.get(database, other.no, receipt.punch_id)
    assert await punches.list_punches(database, other.no, _EVERYTHING, limit=9) == []
    out = io.StringIO()
    assert await exports.write(database, other.no, _EVERYTHING, _JSONL, out) == 0
    assert out.getvalue() == ""
