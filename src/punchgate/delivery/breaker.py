"""How an endpoint fares: when failures are its own fault, when it is probed, when given up. Pure.

    active ── asks for patience, is slow five times in a row,
       ^      or fails twenty times in a row over five keys ──> failing ── 120 h and 20 attempts
       |                                                         |  |      of failures, or 410 ──┐
       └──────────────── accepts a probe ────────────────────────┘  └────────────────────────────v
                                                                                            disabled

Beside it stands how many requests may be on their way at once: halved where the receiver is slow,
one more with each event that it takes.
"""

from typing import Final

from punchgate.delivery import schedule
from punchgate.domain.endpoint import Health, Pace

#: Failures in a row that are the endpoint's own.
SLOW_IN_A_ROW: Final = 5
FAILURES_IN_A_ROW: Final = 20
KEYS_AT_LEAST: Final = 5
#: Who took another event so short a while before this one was sent is not to blame for it. Counted
#: from there, because one that makes the receiver hang comes back 15 s later.
RECENT_S: Final = 10.0
#: When a failing endpoint is given up.
GIVE_UP_MS: Final = 120 * 3_600_000
GIVE_UP_ATTEMPTS: Final = 20


class Breaker:
    """The health of one endpoint, as its lane sees it.

    Units:   `now` is milliseconds since 1970-01-01 UTC, `clock_s` a monotonic clock in seconds.
    """

    def __init__(self, health: Health, pace: Pace) -> None:
        self.health = health
        self._most = pace.concurrency
        #: Requests that may be on their way at once.
        self.limit = pace.concurrency if health.state == "active" else 1
        self._slow = 0
        self._failures = 0
        self._keys: set[str] = set()
        self._accepted_at_s: float | None = None
        self._probes = 0

    @property
    def is_closed(self) -> bool:
        """Say whether events may be sent freely."""
        return self.health.state == "active"

    def accepted(self, clock_s: float) -> None:
        """Note that an event was taken.

        While the endpoint fails this is one that was on its way before; only a probe changes that,
        or a receiver that asked for patience would not get it.
        """
        self._accepted_at_s = clock_s
        if self._failures:
            self._slow = self._failures = 0
            self._keys.clear()
        if self.limit < self._most:
            self.limit += 1

    def probed(self, now: int, clock_s: float) -> None:
        """Note that a probe was taken: the endpoint is well again, and begun with gently."""
        self.accepted(clock_s)
        self.health = Health("active", now)
        self.limit, self._probes = 1, 0

    def slow(self, key: str, now: int, sent_s: float, reason: str) -> bool:
        """Note that the receiver was slow to what was sent at `sent_s`.

        True when the key is to blame and not the endpoint.
        """
        self.limit = max(1, self.limit // 2)
        taken = self._accepted_at_s
        if taken is not None and sent_s - taken < RECENT_S:
            self.refused(key, now, reason)
            return True
        self._slow += 1
        self._failed(key)
        if self._slow >= SLOW_IN_A_ROW or self._is_hopeless():
            self._open(now, reason, schedule.probe_ms(0))
        return False

    def refused(self, key: str, now: int, reason: str) -> None:
        """Note that an event was refused."""
        self._failed(key)
        if self._is_hopeless():
            self._open(now, reason, schedule.probe_ms(0))

    def asked_for_patience(self, now: int, wait_ms: int, reason: str) -> None:
        """Note that the receiver wants to be left alone for a while."""
        self._open(now, reason, wait_ms)

    def gone(self, now: int, reason: str) -> None:
        """Note that the receiver is not there any more."""
        self.health = Health("disabled", now, reason)

    def probe_failed(self, now: int, reason: str, wait_ms: int | None = None) -> None:
        """Note that a probe failed; the next is due after the step, or when the receiver said."""
        if self.health.state == "disabled":
            return
        self._probes += 1
        since, failures = self.health.since, self.health.failures + 1
        if now - since >= GIVE_UP_MS and failures >= GIVE_UP_ATTEMPTS:
            self.health = Health("disabled", now, f"nothing but failures for 120 h: {reason}")
            return
        due_ms = schedule.probe_ms(self._probes) if wait_ms is None else wait_ms
        self.health = Health("failing", since, reason, now + due_ms, failures)

    def _failed(self, key: str) -> None:
        self._failures += 1
        if len(self._keys) < KEYS_AT_LEAST:
            self._keys.add(key)

    def _is_hopeless(self) -> bool:
        return self._failures >= FAILURES_IN_A_ROW and len(self._keys) >= KEYS_AT_LEAST

    def _open(self, now: int, reason: str, wait_ms: int) -> None:
        if self.health.state == "disabled":
            return
        if self.health.state == "failing":
            # Requests that were on their way come back one after the other.
            due = max(now + wait_ms, self.health.retry_at or 0)
            self.health = Health("failing", self.health.since, reason, due, self.health.failures)
            return
        self._slow = self._failures = 0
        self._keys.clear()
        self.health = Health("failing", now, reason, now + wait_ms, 0)
