"""`punchgate decode`: captured bytes of a protocol, explained field by field.

Parses and prints; what the bytes mean is said by the protocol's codec. It opens no database and
talks to nobody. Keys, passwords, cards and templates are never shown.
"""
# ruff: noqa: PLC0415 (imports wait until a command runs: `--help` stays fast)

import json
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from punchgate.cli import output

if TYPE_CHECKING:
    from punchgate.protocols.zk.annotate import Annotated as Packet

app = typer.Typer(no_args_is_help=True, help="Explain captured bytes, field by field.")

_HEX: Final = re.compile(r"(?:[0-9a-fA-F]{2})+")
_COLUMNS: Final = ("offset", "hex", "field", "meaning")
#: What is read of a file: captures are small, and a wrong file must not fill the memory.
_FILE_LIMIT: Final = 64 * 1024 * 1024


@app.callback()
def decode() -> None:
    """Explain captured bytes, field by field."""


@app.command("zk")
def zk(
    capture: Annotated[
        str,
        typer.Argument(
            metavar="HEX|FILE",
            help="Hex digits, or a file of hex lines or bytes; `-` reads standard input.",
        ),
    ],
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, one object on a line.")
    ] = False,
) -> None:
    """Explain bytes of the pull protocol of port 4370.

    Frames as on TCP, the payload of one packet, the rows of a table, counters or live events.
    """
    from punchgate.protocols.zk import annotate, listing

    data = _read(capture)
    rows = listing.recognise(data, datetime.now())  # noqa: DTZ005 (terminals say wall time)
    if rows is not None:
        _print_rows(rows, as_json=as_json)
        return
    found = list(annotate.explain(data))
    for each in found:
        _print_packet(each, as_json=as_json)
    for table in listing.tables_in(found, datetime.now()):  # noqa: DTZ005 (terminals say wall time)
        _print_rows(table, as_json=as_json)


def _read(capture: str) -> bytes:
    data = _of_hex(capture)
    if data is None:
        data = _bytes_in(_content(capture))
    if not data:
        raise typer.BadParameter("There are no bytes in it.")
    return data


def _content(capture: str) -> bytes:
    """Give what is in a file, or on standard input for `-`."""
    try:
        with sys.stdin.buffer if capture == "-" else Path(capture).open("rb") as file:
            content = file.read(_FILE_LIMIT + 1)
    except OSError:
        raise typer.BadParameter(
            "Give hex digits, two for a byte, or the name of a file that can be read."
        ) from None
    if len(content) > _FILE_LIMIT:
        raise typer.BadParameter(f"{capture} is larger than {_FILE_LIMIT // 1024**2} MiB.")
    return content


def _bytes_in(content: bytes) -> bytes:
    """Give the bytes that a file is, or that are written in it as hex."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content
    if not all(each.isprintable() or each.isspace() for each in text):
        return content
    lines = enumerate(map(str.strip, text.splitlines()), start=1)
    written = [(number, line) for number, line in lines if line and not line.startswith("#")]
    found = [_of_line(line, number) for number, line in written]
    return b"".join(_framed(found) if len(found) > 1 else found)


def _framed(lines: list[bytes]) -> list[bytes]:
    """Give datagrams a frame each, so that they can follow each other; other lines as they are."""
    from punchgate.protocols.zk import packets
    from punchgate.wire.error import ProtocolError

    try:
        return [packets.frame(packets.decode(line)) for line in lines]
    except ProtocolError:
        return lines


def _of_line(line: str, number: int) -> bytes:
    """Give the bytes of a line; of a JSON line, those of its member `hex`, or of `data`."""
    data = None
    with suppress(ValueError, RecursionError):
        said = json.loads(line) if line.startswith("{") else {"hex": line}
        data = _of_hex(str(said.get("hex", said.get("data", ""))))
    if data is None:
        raise typer.BadParameter(f"Line {number} is text without hex.")
    return data


def _of_hex(text: str) -> bytes | None:
    bare = re.sub(r"0[xX]|[\s:]", "", text)
    return bytes.fromhex(bare) if _HEX.fullmatch(bare) else None


def _print_packet(packet: "Packet", *, as_json: bool) -> None:
    fields = [
        {"offset": each.offset, "hex": each.hex, "field": each.name, "meaning": each.meaning}
        for each in packet.notes
    ]
    if as_json:
        typer.echo(output.line({"offset": packet.offset, "packet": packet.title, "fields": fields}))
        return
    typer.echo(f"{packet.title} at {packet.offset}")
    output.many(_COLUMNS, fields, as_json=False)


def _print_rows(rows: "tuple[str, Iterator[dict[str, Any]]]", *, as_json: bool) -> None:
    title, values = rows
    if as_json:
        for each in values:
            typer.echo(output.line({"table": title, **each}))
        return
    listed = list(values)
    typer.echo(title)
    columns = tuple(dict.fromkeys(name for each in listed for name in each))
    output.many(columns, listed, as_json=False)
