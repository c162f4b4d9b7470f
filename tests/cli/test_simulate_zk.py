"""`punchgate simulate zk`: what it lists and what it refuses. That it plays is shown with
third-party clients in `tests/simulators/test_zk_clients.py`.
"""

import json
import socket
import subprocess
import sys

import pytest

from punchgate.simulators import zk_faults
from tests.cli.line import Line


def test_every_fault_is_printed_with_its_sentence(line: Line) -> None:
    said = line.plain("simulate", "zk", "--fault", "list", "--json").many
    assert {one["fault"]: one["what_happens"] for one in said} == dict(zk_faults.lines())
    table = line.plain("simulate", "zk", "--fault", "list").out
    assert "junk-prefix" in table
    assert "drop-PLACE-STEP[:N]" in table


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--fault", "no-such-fault"), "There is no fault `no-such-fault`"),
        (("--fault", "split", "--fault", "list"), "There is no fault `list`"),
        (("--listen", "4370"), "write HOST:PORT"),
        (("--row-size", "41"), "'41' is not one of"),
        (("--users", "1", "--records", "500000"), "give more people"),
        (("--comm-key", "1000000"), "less than or equal to 999999"),
        (("--count", "0"), "greater than or equal to 1"),
        (("--count", "50", "--listen", "127.0.0.1:65500"), "There are no 50 ports"),
        (("--serial", "no good"), "'no good' is no serial"),
        (("--serial", ""), "'' is no serial"),
        (("--until", "yesterday"), "'yesterday' does not match"),
        (("--until", "2000-12-31"), "a day of the years 2001 to 2099"),
        (("--until", "9999-12-31"), "a day of the years 2001 to 2099"),
        (("--clock-skew", "-10000000000"), "greater than or equal to -800000000"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    line: Line, options: tuple[str, ...], sentence: str
) -> None:
    said = line.plain("simulate", "zk", *options)
    assert said.code == 2
    assert sentence in said.err
    assert said.out == ""


@pytest.mark.parametrize(("given", "names"), [((), None), (("--serial", "X"), ["X", "X-2"])])
def test_each_terminal_is_printed_with_a_serial_of_its_own(
    given: tuple[str, ...], names: list[str] | None
) -> None:
    command = [sys.executable, "-m", "punchgate", "simulate", "zk", "--listen", "127.0.0.1:0"]
    with subprocess.Popen(
        [*command, "--json", "--count", "2", "--users", "2", "--records", "2", *given],
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        try:
            said = [json.loads(process.stdout.readline()) for _ in range(2)]
        finally:
            process.terminate()
    ports = [one["address"].rpartition(":")[2] for one in said]
    own = [f"VT{port}-{seed}" for seed, port in enumerate(ports, start=1)]
    assert [one["serial"] for one in said] == (names or own)


def test_a_port_that_is_taken_is_a_sentence(line: Line) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        said = line.plain("simulate", "zk", "--listen", address)
    assert said.code == 1
    assert address in said.err
    assert "taken by another program" in said.err
