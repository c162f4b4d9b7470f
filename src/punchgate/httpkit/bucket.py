"""Token buckets: so many requests in a window, filled evenly.

In memory; each process counts for itself. The clock is an argument. What a refusal looks like is
the contract's.
"""

from dataclasses import dataclass
from math import ceil
from typing import Final

#: Buckets that are remembered; beyond it the full ones are forgotten, and come back full.
BOUND: Final = 50_000
#: What thousands of additions may be off by: whoever waited as told is let through.
_SLACK_S: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Policy:
    """A quota, at least 1, in a window of seconds."""

    name: str
    quota: int
    window_s: int

    def describe(self) -> str:
        """Write the value of `RateLimit-Policy`."""
        return f'"{self.name}";q={self.quota};w={self.window_s}'

    def left(self, count: int, *, full_in_s: int) -> str:
        """Write the value of `RateLimit`: what is left, and the seconds until it is full."""
        return f'"{self.name}";r={count};t={full_in_s}'

    def headers(self, left: str) -> tuple[tuple[bytes, bytes], ...]:
        """Give both headers of an answer; `left` as of `left`."""
        return ((b"ratelimit-policy", self.describe().encode()), (b"ratelimit", left.encode()))


class Buckets:
    """One bucket per key under one policy.

    A bucket is the moment at which it will be full again: what is missing now is what will have
    filled it by then. Asking changes nothing, and a key that is not there has a full one.
    """

    def __init__(self, policy: Policy, *, bound: int = BOUND) -> None:
        self.policy = policy
        self._bound = bound
        #: How long one token takes to come back.
        self._token_s = policy.window_s / policy.quota
        self._longest_s = policy.window_s + _SLACK_S
        self._full_at: dict[str, float] = {}

    def take(self, key: str, now: float) -> bool:
        """Take one token; False when there is none."""
        full_at = self._full_at.get(key)
        if full_at is None and len(self._full_at) >= self._bound:
            self._forget_full(now)
        full_at = now if full_at is None or full_at < now else full_at
        if full_at + self._token_s > now + self._longest_s:
            return False
        self._full_at[key] = full_at + self._token_s
        return True

    def is_spent(self, key: str, now: float) -> bool:
        """Say whether a key has no token left, without taking one."""
        return self._full_in_s(key, now) + self._token_s > self._longest_s

    def describe(self, key: str, now: float) -> str:
        """Write the value of `RateLimit`: what is left, and the seconds until it is full."""
        full_in_s = self._full_in_s(key, now)
        left = min(int((self._longest_s - full_in_s) / self._token_s), self.policy.quota)
        full_in = ceil(full_in_s - _SLACK_S) if full_in_s else 0
        return self.policy.left(left, full_in_s=full_in)

    def headers(self, key: str, now: float) -> tuple[tuple[bytes, bytes], ...]:
        """Give the headers that tell a key of its limit."""
        return self.policy.headers(self.describe(key, now))

    def wait_s(self, key: str, now: float) -> int:
        """Say after how many whole seconds there is a token again, at least 1."""
        missing_s = self._full_in_s(key, now) + self._token_s - self.policy.window_s
        return max(1, ceil(missing_s - _SLACK_S))

    def _full_in_s(self, key: str, now: float) -> float:
        return max(0.0, self._full_at.get(key, now) - now)

    def _forget_full(self, now: float) -> None:
        self._full_at = {key: at for key, at in self._full_at.items() if at > now}
        if len(self._full_at) >= self._bound:
            self._full_at.clear()
