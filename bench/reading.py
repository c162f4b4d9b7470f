"""The benchmark of the way out: the summary over ten million punches, its first page and its 500th.

Over HTTP, one request at a time, with the total; the naive rival answers without a total, which
would double its work. The limit is the same server's `/livez`: HTTP and nothing behind it.
"""

import urllib.request
from datetime import timedelta
from functools import partial
from typing import Final

import msgspec

from bench import dataset, gateway, load, rivals, rounds, table
from bench.dataset import Dataset
from bench.load import Load, LoadError
from bench.rounds import Part, Sample
from bench.setting import Setting, sample
from bench.table import Comparison, Line

PAGES: Final = (1, 500)
_LIMIT: Final = 20
_DAYS: Final = 30
NAIVE: Final = "FastAPI + GROUP BY date(att_time), no total"
_NOTHING: Final = "the same server's /livez"


def summary(setting: Setting) -> list[Line]:
    """Measure pages of the summary over 30 days of the large set."""
    found = dataset.build(setting.cache, dataset.LARGE)
    lines = []
    with (
        gateway.running(found.place) as ours,
        rivals.naive_summary(setting.scratch, found.naive) as naive_port,
    ):
        check(found, ours.port, naive_port)
        for page in PAGES:
            path = summary_path(found, page)
            key = (f"X-API-Key: {found.key}",)
            parts = [
                Part(ours.name, partial(_get, setting, ours.port, path, key)),
                Part(NAIVE, partial(_get, setting, naive_port, path, ())),
                Part(_NOTHING, partial(_get, setting, ours.port, "/livez", ())),
            ]
            measured = rounds.alternate(parts, setting.rounds, keep_noisy=setting.is_quick)
            what = f"summary of {_DAYS} days, page {page}, {found.punches:,} punches"
            compare = partial(Comparison, what=what, ours=ours.name)
            comparisons = (
                compare(theirs=NAIVE, ratio="sooner", p50_ms_at_most=10),
                compare(theirs=_NOTHING, ratio="longer"),
            )
            lines += [table.line(comparison, measured) for comparison in comparisons]
    return lines


def summary_path(found: Dataset, page: int) -> str:
    """Give the request for a page of the last 30 days."""
    start = max(dataset.FIRST_DAY, found.last_day - timedelta(days=_DAYS - 1))
    dates = f"start_date={start}&end_date={found.last_day}"
    return f"/api/v1/attendance/summary?{dates}&page={page}&limit={_LIMIT}"


class _Pagination(msgspec.Struct):
    total_records: int


class _Data(msgspec.Struct):
    pagination: _Pagination
    users: list[dict[str, object]]


class _Summary(msgspec.Struct):
    data: _Data


class _Naive(msgspec.Struct):
    users: list[dict[str, object]]


def check(found: Dataset, ours: int, naive: int) -> None:
    """See to it that both servers answer the same question; LoadError if they do not.

    They name people differently, so days, first and last are compared as a bag.
    """
    path = summary_path(found, 1)
    mine = msgspec.json.decode(_ask(ours, path, found.key), type=_Summary).data
    other = msgspec.json.decode(_ask(naive, path, ""), type=_Naive)
    days = min(_DAYS, load.days(found.punches, found.people))
    if mine.pagination.total_records != days * found.people:
        raise LoadError(f"The summary counts {mine.pagination.total_records} rows.")
    names = ("date", "first_in", "last_out")
    if [[row[name] for name in names] for row in mine.users] != [
        [row[name] for name in names] for row in other.users
    ]:
        raise LoadError(f"The two summaries differ: {mine.users[:2]}, {other.users[:2]}.")


def _get(setting: Setting, port: int, path: str, headers: tuple[str, ...]) -> Sample:
    count = load.run(
        Load(
            port=port,
            path=path,
            kind="get",
            connections=1,
            seconds=setting.seconds,
            warmup_s=setting.warmup_s,
            headers=headers,
            expect_prefix='{"success":true' if "summary" in path else None,
        )
    )
    return sample(count)


def _ask(port: int, path: str, key: str) -> bytes:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"X-API-Key": key})
    with urllib.request.urlopen(request) as answer:  # noqa: S310 (loopback)
        body: bytes = answer.read()
        return body
