"""The machine under a benchmark: what else ran on it, and how long its disk takes to flush.

Reads `/proc` and writes one scratch file; it starts nothing and judges nothing: `rounds.py` decides
what a number means.
"""

import os
import platform
import statistics
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

_PROC: Final = Path("/proc")
#: The kernel's own threads are children of this one; what they do (write-back, the journal) they do
#: for us.
_KERNEL_THREADS: Final = 2
_FLUSHES: Final = 200


class Process(NamedTuple):
    """One `/proc/PID/stat`; `ticks` is its own processor time and that of children it buried."""

    pid: int
    parent: int
    ticks: int


class Clocks(NamedTuple):
    """Processor time so far, in ticks: of the machine, of our tree, of the kernel's threads."""

    at_s: float
    machine: int
    ours: int
    kernel: int


def read_clocks(root: int) -> Clocks:
    """Read the processor time so far; our tree is `root` and all that descends from it."""
    processes = list(_list_processes())
    ours = family(processes, root)
    kernel = family(processes, _KERNEL_THREADS)
    return Clocks(
        time.monotonic(),
        machine_ticks((_PROC / "stat").read_text()),
        sum(process.ticks for process in processes if process.pid in ours),
        sum(process.ticks for process in processes if process.pid in kernel),
    )


def other_cores(before: Clocks, after: Clocks) -> float:
    """Say how many cores work that is not ours has used between two readings."""
    ticks = (after.machine - before.machine) - (after.ours - before.ours)
    ticks -= after.kernel - before.kernel
    return max(0.0, _cores(ticks, before, after))


def our_cores(before: Clocks, after: Clocks) -> float:
    """Say how many cores our own tree has used between two readings."""
    return _cores(after.ours - before.ours, before, after)


def machine_ticks(stat: str) -> int:
    """Add up the busy ticks of the first line of `/proc/stat`.

    User, nice, system, and what the hypervisor gave to others. Interrupts are left out: on loopback
    they are the packets of the benchmark itself, and no process is charged for them.
    """
    user, nice, system, _idle, _iowait, _irq, _softirq, steal = map(int, stat.split()[1:9])
    return user + nice + system + steal


def parse_process(stat: str) -> Process:
    """Read the content of a `/proc/PID/stat`; a name may hold blanks and brackets."""
    head, _, tail = stat.rpartition(")")
    fields = tail.split()
    return Process(int(head.split()[0]), int(fields[1]), sum(map(int, fields[11:15])))


def family(processes: Iterable[Process], root: int) -> set[int]:
    """Give the ids of `root` and of everything below it."""
    children: dict[int, list[int]] = {}
    for process in processes:
        children.setdefault(process.parent, []).append(process.pid)
    found: set[int] = set()
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        found.add(pid)
        waiting.extend(children.get(pid, ()))
    return found


def flush_p50_ms(folder: Path) -> float:
    """Measure the median time of a 4 KiB write and its flush on the disk that holds `folder`."""
    path = folder / "flush-probe"
    page = os.urandom(4096)
    times = []
    handle = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        for _ in range(_FLUSHES):
            began = time.perf_counter()
            os.write(handle, page)
            os.fdatasync(handle)
            times.append(time.perf_counter() - began)
    finally:
        os.close(handle)
        path.unlink()
    return statistics.median(times) * 1000


def describe(folder: Path) -> Mapping[str, str]:
    """Say what the figures were measured on, in words for a table's head."""
    return {
        "cores": f"{os.cpu_count()} shared with the load generator, nothing pinned",
        "processor": _processor(),
        "kernel": os.uname().release,
        "flush p50": f"{flush_p50_ms(folder):.2f} ms (4 KiB, fdatasync, the disk of the data)",
        "python": f"{platform.python_version()}, {platform.python_compiler()}",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
    }


def _processor() -> str:
    for line in (_PROC / "cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return os.uname().machine


def _list_processes() -> Iterator[Process]:
    for folder in _PROC.iterdir():
        if folder.name.isdigit():
            try:
                yield parse_process((folder / "stat").read_text())
            except (FileNotFoundError, ProcessLookupError):
                continue  # It ended while we looked; its parent has its time.


def _cores(ticks: int, before: Clocks, after: Clocks) -> float:
    seconds = after.at_s - before.at_s
    return ticks / os.sysconf("SC_CLK_TCK") / seconds if seconds > 0 else 0.0
