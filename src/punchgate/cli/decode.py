"""`punchgate decode`: captured bytes of a protocol, explained field by field.

Parses and prints; what the bytes mean is said by the protocol's codec. It opens no database and
talks to nobody. Keys, passwords, cards and templates are never shown.
"""
# ruff: noqa: PLC0415 (imports wait until a command runs: `--help` stays fast)

import json
import re
from collections.abc import Iterator
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
        str, typer.Argument(metavar="HEX|FILE", help="Hex digits, or a file of hex lines or bytes.")
    ],
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, one object on a line.")
    ] = False,
) -> None:
    """Explain bytes of the pull protocol of port 4370.

    Frames as on TCP, the payload of one packet, or the rows of a table are understood.
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
    bare = re.sub(r"[\s:]", "", capture).removeprefix("0x")
    if _HEX.fullmatch(bare):
        return bytes.fromhex(bare)
    path = Path(capture)
    if not path.is_file():
        raise typer.BadParameter("Give hex digits, two for a byte, or the name of a file.")
    if path.stat().st_size > _FILE_LIMIT:
        raise typer.BadParameter(f"{capture} is larger than {_FILE_LIMIT // 1024**2} MiB.")
    raw = path.read_bytes()
    try:
        lines = [line.strip() for line in raw.decode("ascii").splitlines()]
        return bytes.fromhex("".join(_hex_of(line) for line in lines if not line.startswith("#")))
    except ValueError:
        return raw


def _hex_of(line: str) -> str:
    """Give the hex digits of a line; of a JSON line, those of its member `hex`."""
    if not line.startswith("{"):
        return line.replace(":", "")
    return str(json.loads(line)["hex"])


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
