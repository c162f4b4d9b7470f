"""The load generator from Python: compiles `loadgen.c`, runs it, reads what it counted.

Knows neither servers nor rounds. An answer that is not the expected one is counted by the generator
and is an error here, because a figure made of refusals is no figure.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final, Literal

import msgspec

HERE: Final = Path(__file__).resolve().parent
CACHE: Final = HERE / ".cache"
GENERATOR: Final = HERE / "loadgen.c"
#: As in `loadgen.c`: everybody's ten punches are three days.
TURNS: Final = 10
TURNS_DAYS: Final = 3
_EPOCH: Final = date(1970, 1, 1)
#: The first day that is sent, unless a benchmark says otherwise.
FIRST_DAY: Final = date(2020, 1, 1)

_FLAGS: Final = ("-O2", "-Wall", "-Wextra", "-Werror")


class LoadError(Exception):
    """The generator could not do its work, or the server did not do its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What to send, where to, and what to expect."""

    port: int
    path: str
    kind: Literal["punch", "batch", "get"]
    connections: int
    seconds: float
    warmup_s: float = 0.0
    #: An upper bound of requests, whatever the time says.
    requests: int = 10_000_000
    headers: tuple[str, ...] = ()
    #: The body of every answer, exactly; or how it begins; and a header that must be among the
    #: others.
    expect: str | None = None
    expect_prefix: str | None = None
    expect_header: str | None = None
    items: int = 1000
    people: int = 5000
    #: Number of the first punch: what another run against the same server gave as `next`.
    first: int = 0
    from_day: date = FIRST_DAY


class Count(msgspec.Struct, frozen=True):
    """What the generator counted after its warm-up; `items` are good punches, or good answers."""

    answered: int
    bad: int
    broken: int
    items: int
    seconds: float
    p50_us: float
    p99_us: float
    max_us: int
    cores: float
    sent: int
    next: int


def compile_generator() -> Path:
    """Compile the generator if its source is newer, and give its path."""
    return _compile(GENERATOR, CACHE / "loadgen", ())


def compile_slow_flush() -> Path:
    """Compile the library that makes every flush slower, and give its path."""
    return _compile(
        HERE / "shim" / "slowflush.c", CACHE / "slowflush.so", ("-shared", "-fPIC", "-ldl")
    )


def run(load: Load) -> Count:
    """Send a load and count the answers.

    Errors: LoadError if a connection broke, an answer was not the expected one, or punches ran into
    the future (which a
            gateway acknowledges into quarantine: quick, and not what is measured).
    """
    done = subprocess.run(
        [compile_generator(), *_arguments(load)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise LoadError(done.stderr.strip())
    count = msgspec.json.decode(done.stdout, type=Count)
    if count.bad or count.broken or not count.answered:
        raise LoadError(
            f"{load.kind} {load.path}: of {count.sent} requests {count.bad} went wrong, "
            f"{count.broken} connections broke, {count.answered} answers were counted."
        )
    last_day = load.from_day + timedelta(days=days(count.next, load.people))
    if load.kind != "get" and last_day >= date.today():  # noqa: DTZ011 (any zone will do)
        raise LoadError("The punches have reached today: begin with an earlier day, or send fewer.")
    return count


def days(punches: int, people: int) -> int:
    """Say how many days so many punches of so many people reach over."""
    return -(-punches // (people * TURNS)) * TURNS_DAYS


def _arguments(load: Load) -> list[str]:
    numbers = {
        "port": load.port,
        "connections": load.connections,
        "seconds": load.seconds,
        "warmup": load.warmup_s,
        "requests": load.requests,
        "items": load.items,
        "people": load.people,
        "first": load.first,
        "from-day": (load.from_day - _EPOCH).days,
    }
    texts = {
        "kind": load.kind,
        "path": load.path,
        "expect": load.expect,
        "expect-prefix": load.expect_prefix,
        "expect-header": load.expect_header,
    }
    found = [f"--{name}={value}" for name, value in numbers.items()]
    found += [f"--{name}={text}" for name, text in texts.items() if text is not None]
    return found + [f"--header={header}" for header in load.headers]


def _compile(source: Path, target: Path, options: tuple[str, ...]) -> Path:
    if target.exists() and target.stat().st_mtime >= source.stat().st_mtime:
        return target
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise LoadError("`gcc` is not installed: the load generator is written in C.")
    target.parent.mkdir(exist_ok=True)
    # Another run may compile at the same time: each makes its own file and renames it into place.
    fresh = target.with_name(f"{target.name}.{os.getpid()}")
    subprocess.run([compiler, *_FLAGS, "-o", fresh, source, *options], check=True)
    fresh.replace(target)
    return target
