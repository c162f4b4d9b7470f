"""Token buckets: so many requests in a window, filled evenly.

In memory; each process counts for itself. The clock is an argument. What a refusal looks like is the contract's.
"""

from dataclasses import dataclass
from math import ceil
from typing import Final

#: Buckets that are remembered; beyond it the full ones are forgotten, which changes nothing for
#: them.
BOUND: Final = 50_000


@dataclass(frozen=True, slots=True)
class Policy:
    """A quota in a window of seconds; a quota of 0 means no limit."""

    name: str
    quota: int
    window_s: int

    def describe(self) -> str:
        """Write the value of `RateLimit-Policy`."""
        return f'"{self.name}";q={self.quota};w={self.window_s}'


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float


class Buckets:
    """One bucket per key under one policy."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._rate = policy.quota / policy.window_s
        self._buckets: dict[str, _Bucket] = {}

    def take(self, key: str, now: float) -> bool:
        """Take one token; False when there is none."""
        bucket = self._fill(key, now)
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True

    def is_spent(self, key: str, now: float) -> bool:
        """Say whether a key has no token left, without taking one; unknown keys have all."""
        return key in self._buckets and self._fill(key, now).tokens < 1

    def describe(self, key: str, now: float) -> str:
        """Write the value of `RateLimit`: what is left, and the seconds until it is full."""
        known = key in self._buckets
        tokens = self._fill(key, now).tokens if known else float(self.policy.quota)
        full_in = ceil((self.policy.quota - tokens) / self._rate)
        return f'"{self.policy.name}";r={int(tokens)};t={full_in}'

    def wait_s(self, key: str, now: float) -> int:
        """Say after how many whole seconds there is a token again, at least 1."""
        return max(1, ceil((1 - self._fill(key, now).tokens) / self._rate))

    def _fill(self, key: str, now: float) -> _Bucket:
        bucket = self._buckets.get(key)
        quota = self.policy.quota
        if bucket is None:
            if len(self._buckets) >= BOUND:
                self._forget_full(now)
            bucket = self._buckets[key] = _Bucket(quota, now)
            return bucket
        tokens = bucket.tokens + (now - bucket.filled_at) * self._rate
        bucket.tokens = min(tokens, quota)
        bucket.filled_at = now
        return bucket

    def _forget_full(self, now: float) -> None:
        for key in [
            key for key in self._buckets if self._fill(key, now).tokens >= self.policy.quota
        ]:
            del self._buckets[key]
        if len(self._buckets) >= BOUND:
            self._buckets.clear()
