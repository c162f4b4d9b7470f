"""The benchmark of what is live beside a replay: how late punches come to a receiver.

Fifty punches a second come in over HTTP, one at a time as from devices, while 100,000 events are
sent to the same endpoint again; and the same without that. What is late is counted by the receiver:
when a request came, less the `timestamp` of its event. Both are clocks of one machine.
"""

import http.client
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Final

import msgspec

from bench import delivery, gateway, rounds, table
from bench.delivery import Receiver
from bench.gateway import Place
from bench.load import LoadError
from bench.rivals import SERIAL, TOKEN
from bench.rounds import Part, Sample
from bench.setting import PUNCH, Setting, Target
from bench.table import Comparison, Line

#: What is sent again, and how quickly it may go.
EVENTS: Final = 100_000
RATE: Final = 5_000
#: Punches a second that come in meanwhile, and for how long: less than a replay takes.
LIVE: Final = 50
SECONDS: Final = 15.0
_BESIDE: Final = "live punches beside a replay"
_ALONE: Final = "the same without a replay"
_START_S: Final = 60.0
_HEADERS: Final = {"sn": SERIAL, "auth-token": TOKEN, "content-type": "application/json"}


def replay(setting: Setting) -> list[Line]:
    """Measure how late live punches come."""
    place = gateway.prepare(setting.scratch / "replay" / "ours")
    with gateway.running(place, extra=delivery.NETWORKS) as ours:
        while ours.next < EVENTS:
            ours.batch(setting, connections=4)
        # Days of long ago are computed, and told of, before anything is measured.
        rounds.MACHINE.rest()
        with delivery.receiving("--lags") as receiver:
            words = ("--start-at", _today(), "--event", "punch.recorded")
            added = delivery.punchgate(place, "endpoint", "add", receiver.url, *words)
            _drain(receiver)
            numbers = iter(range(10_000_000))
            live = partial(_live, ours, receiver, numbers)
            beside = partial(_beside, place, added["endpoint_id"], receiver, live)
            parts = [Part(_BESIDE, beside), Part(_ALONE, live)]
            found = rounds.alternate(parts, setting.rounds, keep_noisy=setting.is_quick)
    again_per_s = found.median(_BESIDE).per_s
    comparison = Comparison(
        what=f"how late a punch comes, {LIVE} a second, {EVENTS:,} events sent again",
        ours=_BESIDE,
        theirs=_ALONE,
        ratio="longer",
        p99_ms_at_most=2_000,
        remark=f"the replay went at {again_per_s:,.0f}/s of {RATE:,}/s",
    )
    return [table.line(comparison, found)]


def _beside(
    place: Place, endpoint_id: str, receiver: Receiver, live: Callable[[], Sample]
) -> Sample:
    with _replaying(place, endpoint_id, receiver):
        return live()


@contextmanager
def _replaying(place: Place, endpoint_id: str, receiver: Receiver) -> Iterator[None]:
    before = receiver.count().replayed
    words = ("--since", "2020-01-01", "--rate", str(RATE), "--no-follow")
    job = delivery.punchgate(place, "endpoint", "replay", endpoint_id, *words)
    deadline = time.monotonic() + _START_S
    while receiver.count().replayed == before:
        if time.monotonic() > deadline:
            raise LoadError("The replay did not begin.")
        time.sleep(0.05)
    try:
        yield
    finally:
        delivery.punchgate(place, "endpoint", "cancel", job["replay_id"])


def _live(ours: Target, receiver: Receiver, numbers: Iterator[int]) -> Sample:
    """Send punches in their time and give how late they came; `per_s` is what was sent again."""
    before = receiver.count()
    sent = _send(ours.port, numbers)
    lags_ms: list[float] = []
    deadline = time.monotonic() + _START_S
    after = receiver.count()
    lags_ms += after.lags_ms
    per_s = (after.replayed - before.replayed) / (after.at - before.at)
    while len(lags_ms) < sent:
        if time.monotonic() > deadline:
            raise LoadError(f"Of {sent} punches {len(lags_ms)} came.")
        time.sleep(0.05)
        lags_ms += receiver.count().lags_ms
    ours.next += sent
    cuts = statistics.quantiles(lags_ms, n=100)
    cores = (after.cpu_s - before.cpu_s) / (after.at - before.at)
    return Sample(per_s=per_s, p50_ms=cuts[49], p99_ms=cuts[98], generator_cores=cores)


def _send(port: int, numbers: Iterator[int]) -> int:
    """Send one punch every fiftieth of a second, each of somebody new."""
    count = int(SECONDS * LIVE)
    began = time.monotonic()
    line = http.client.HTTPConnection("127.0.0.1", port)
    for turn in range(count):
        wait_s = began + turn / LIVE - time.monotonic()
        if wait_s > 0:
            time.sleep(wait_s)
        at = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
        body = {"user_id": f"live{next(numbers)}", "att_time": at, "att_state": 0}
        line.request("POST", PUNCH, msgspec.json.encode(body), _HEADERS)
        answer = line.getresponse()
        answer.read()
        if answer.status != 200 or answer.headers.get("punch-status") != "recorded":
            raise LoadError(f"A live punch was answered {answer.status}.")
    line.close()
    return count


def _drain(receiver: Receiver) -> None:
    """Wait until the endpoint has everything that was there, so that a replay covers it."""
    deadline = time.monotonic() + _START_S
    while receiver.count().accepted < EVENTS:
        if time.monotonic() > deadline:
            raise LoadError("The events were not delivered in the first place.")
        time.sleep(0.2)


def _today() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d}"
