"""Who used the processors: the arithmetic on invented figures, and one look at the real `/proc`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench import machine
from bench.machine import Clocks, Process

TICKS = os.sysconf("SC_CLK_TCK")


def after(**seconds: float) -> Clocks:
    """Make the second of two readings, ten seconds after one of zeros."""
    ticks = {name: round(value * TICKS) for name, value in seconds.items()}
    return Clocks(10.0, **{"machine": 0, "ours": 0, "kernel": 0, **ticks})


BEFORE = Clocks(0.0, 0, 0, 0)


@pytest.mark.parametrize(
    ("clocks", "cores"),
    [
        (after(machine=15, ours=15), 0.0),
        (after(machine=18, ours=15), 0.3),
        (after(machine=18, ours=15, kernel=2), 0.1),
        # Ticks are coarse: ours may come out above the machine's, and that is nobody else's work.
        (after(machine=14.9, ours=15), 0.0),
        (after(machine=20), 2.0),
    ],
)
def test_other_work_is_the_machines_without_ours_and_the_kernels(
    clocks: Clocks, cores: float
) -> None:
    assert machine.other_cores(BEFORE, clocks) == pytest.approx(cores)


def test_our_cores_are_our_ticks_over_the_time() -> None:
    assert machine.our_cores(BEFORE, after(machine=9, ours=7)) == pytest.approx(0.7)


def test_a_reading_of_no_length_says_nothing() -> None:
    assert machine.other_cores(BEFORE, Clocks(0.0, 50, 0, 0)) == 0.0


def test_busy_is_user_nice_system_and_what_was_stolen() -> None:
    stat = "cpu  100 20 3 9999 888 77 66 4 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n"
    assert machine.machine_ticks(stat) == 127


def test_the_name_of_a_process_may_hold_blanks_and_brackets() -> None:
    stat = "42 (a (b) c) S 7 1 1 0 -1 0 0 0 0 0 11 22 33 44 20 0 1 0 5 0 0"
    assert machine.parse_process(stat) == Process(42, 7, 110)


def test_a_family_is_everything_below_a_process_and_nobody_else() -> None:
    processes = [
        Process(pid, parent, 0) for pid, parent in [(5, 1), (6, 5), (7, 6), (8, 1), (9, 8)]
    ]
    assert machine.family(processes, 5) == {5, 6, 7}


def test_the_time_of_a_child_that_has_ended_is_ours() -> None:
    before = machine.read_clocks(os.getpid())
    subprocess.run([sys.executable, "-c", "sum(range(5_000_000))"], check=True)
    found = machine.read_clocks(os.getpid())
    assert found.ours > before.ours
    assert found.machine > before.machine


def test_a_flush_takes_time_and_leaves_nothing_behind(tmp_path: Path) -> None:
    assert machine.flush_p50_ms(tmp_path) > 0
    assert list(tmp_path.iterdir()) == []


def test_the_description_names_what_a_ratio_depends_on(tmp_path: Path) -> None:
    assert {"cores", "flush p50", "memory", "python"} <= set(machine.describe(tmp_path))
