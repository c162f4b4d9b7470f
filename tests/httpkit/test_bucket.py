"""Token buckets: their arithmetic, against a clock that is turned by hand. Pure."""

from hypothesis import given
from hypothesis import strategies as st

from punchgate.httpkit.bucket import Buckets, Policy

#: One token every 15 seconds.
POLICY = Policy("device", 4, 60)


def test_a_policy_is_written_as_published() -> None:
    assert POLICY.describe() == '"device";q=4;w=60'


def test_both_headers_of_a_limit_are_written_at_once() -> None:
    buckets = Buckets(Policy("manage", 600, 60))
    buckets.take("key", 0.0)
    expected = (
        (b"ratelimit-policy", b'"manage";q=600;w=60'),
        (b"ratelimit", b'"manage";r=599;t=1'),
    )
    assert buckets.headers("key", 0.0) == expected
    policy = buckets.policy
    assert policy.headers(policy.left(599, full_in_s=1)) == expected


def test_a_bucket_is_full_at_first_and_empty_after_its_quota() -> None:
    buckets = Buckets(POLICY)
    assert [buckets.take("a", 0.0) for _ in range(6)] == [True] * 4 + [False] * 2
    assert buckets.take("b", 0.0)


def test_it_fills_evenly_and_never_beyond_its_quota() -> None:
    buckets = Buckets(POLICY)
    for _ in range(4):
        buckets.take("a", 0.0)
    # (seconds, what is written): 15 s a token, 60 s from empty to full.
    for now, written in (
        (0.0, '"device";r=0;t=60'),
        (1.0, '"device";r=0;t=59'),
        (14.9, '"device";r=0;t=46'),
        (15.0, '"device";r=1;t=45'),
        (44.0, '"device";r=2;t=16'),
        (59.9, '"device";r=3;t=1'),
        (60.0, '"device";r=4;t=0'),
        (6_000.0, '"device";r=4;t=0'),
    ):
        assert buckets.describe("a", now) == written


def test_the_wait_is_in_whole_seconds_and_at_least_one() -> None:
    buckets = Buckets(POLICY)
    for _ in range(4):
        buckets.take("a", 0.0)
    waits = [buckets.wait_s("a", now) for now in (0.0, 0.5, 14.0, 14.5, 15.0, 99.0)]
    assert waits == [15, 15, 1, 1, 1, 1]


def test_asking_takes_nothing_and_remembers_nobody() -> None:
    buckets = Buckets(Policy("source", 1, 60))
    for _ in range(3):
        assert not buckets.is_spent("a", 0.0)
        assert buckets.describe("a", 0.0) == '"source";r=1;t=0'
    assert buckets._full_at == {}
    assert buckets.take("a", 0.0)
    assert buckets.is_spent("a", 0.0)
    assert buckets.is_spent("a", 59.0)
    assert not buckets.is_spent("a", 60.0)


def test_full_buckets_are_forgotten_and_others_are_not() -> None:
    buckets = Buckets(POLICY, bound=3)
    for _ in range(4):
        buckets.take("empty", 0.0)
    buckets.take("nearly", 0.0)
    buckets.take("also", 0.0)
    # After 15 s two of them are full again, and nobody can tell them from new ones.
    assert buckets.take("new", 15.0)
    assert set(buckets._full_at) == {"empty", "new"}
    assert buckets.take("empty", 15.0)
    assert buckets.is_spent("empty", 15.0)


def test_a_flood_of_keys_stays_within_the_bound() -> None:
    buckets = Buckets(POLICY, bound=10)
    for number in range(100):
        buckets.take(str(number), 0.0)
        assert len(buckets._full_at) <= 10


@given(
    quota=st.integers(1, 200),
    window_s=st.integers(1, 3_600),
    now=st.floats(0, 1e6),
)
def test_whoever_waits_as_told_is_let_through(quota: int, window_s: int, now: float) -> None:
    buckets = Buckets(Policy("any", quota, window_s))
    assert [buckets.take("a", now) for _ in range(quota + 1)] == [True] * quota + [False]
    assert buckets.take("a", now + buckets.wait_s("a", now))


@given(
    quota=st.integers(1, 50),
    window_s=st.integers(1, 120),
    pauses=st.lists(st.floats(0, 30, allow_nan=False), max_size=150),
)
def test_no_window_lets_more_through_than_two_quotas(
    quota: int, window_s: int, pauses: list[float]
) -> None:
    buckets = Buckets(Policy("any", quota, window_s))
    now, taken = 0.0, []
    for pause in pauses:
        now += pause
        if buckets.take("a", now):
            taken.append(now)
    for start in taken:
        # A full bucket at the beginning, and what fills it during the window.
        assert sum(start <= at < start + window_s for at in taken) <= 2 * quota
