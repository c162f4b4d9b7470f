"""The stored set, made small: our reports, the naive table and plain arithmetic agree about it.

Real: our gateway and the naive server in processes of their own, the published API both ways.
"""

import shutil
import urllib.request
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench import dataset, gateway, reading, rivals
from bench.dataset import Dataset

pytestmark = [
    pytest.mark.slow,
    # Each starts servers, some of them several; for a hang only.
    pytest.mark.timeout(400),
    pytest.mark.skipif(shutil.which("gcc") is None, reason="`gcc` is not installed"),
]

PUNCHES, PEOPLE = 2_000, 100


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return dataset.build(tmp_path_factory.mktemp("cache"), PUNCHES, people=PEOPLE)


def ask(port: int, found: Dataset, query: str) -> dict[str, Any]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/v1/attendance/summary?{query}",
        headers={"X-API-Key": found.key},
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310 (loopback)
        data: dict[str, Any] = msgspec.json.decode(answer.read())["data"]
        return data


def test_a_small_set_agrees_with_our_report_and_with_the_naive_one(
    found: Dataset, tmp_path: Path
) -> None:
    with (
        gateway.running(found.place) as ours,
        rivals.naive_summary(tmp_path, found.naive) as naive,
    ):
        reading.check(found, ours.port, naive)
        days = ask(ours.port, found, "start_date=2024-01-01&end_date=2024-01-06&limit=100")
        short = ask(ours.port, found, "start_date=2024-01-03&end_date=2024-01-03&limit=1")
        long = ask(ours.port, found, "start_date=2024-01-04&end_date=2024-01-04&limit=1")
    assert str(found.last_day) == "2024-01-06"
    assert days["pagination"]["total_records"] == 6 * PEOPLE
    assert short["users"][0]["working_hours"] == "9h 0m"
    assert [entry["event"] for entry in short["users"][0]["activities"]] == ["entry", "exit"]
    assert long["users"][0]["user_name"] == "100000"
    assert [entry["time"] for entry in long["users"][0]["activities"]] == [
        f"2024-01-04 {hour:02d}:00:00" for hour in (7, 10, 13, 16)
    ]


def test_a_set_that_is_there_is_taken_as_it_is(found: Dataset) -> None:
    cache = found.naive.parents[1]
    again = dataset.build(cache, PUNCHES, people=PEOPLE)
    assert again == found


def test_an_interrupted_set_goes_on_where_it_stopped(found: Dataset, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    folder = cache / found.naive.parent.name
    folder.mkdir(parents=True)
    place = gateway.prepare(folder / "data")
    with gateway.running(place) as target:
        dataset.send(target, 0, 1_000, PEOPLE, connections=1)
    assert place.count_punches() == 1_000
    again = dataset.build(cache, PUNCHES, people=PEOPLE)
    assert again.place.count_punches() == PUNCHES


def test_a_copy_leaves_the_set_alone(found: Dataset, tmp_path: Path) -> None:
    place = dataset.copy(found, tmp_path / "copy")
    with gateway.running(place) as target:
        dataset.send(target, PUNCHES, 1_000, PEOPLE, connections=1)
    assert place.count_punches() == PUNCHES + 1_000
    assert found.place.count_punches() == PUNCHES


def test_a_set_of_another_schema_is_deleted(found: Dataset, tmp_path: Path) -> None:
    older = tmp_path / f"dataset-{PUNCHES}-0123456789"
    other = tmp_path / "dataset-77-0123456789"
    older.mkdir()
    other.mkdir()
    dataset.build(tmp_path, PUNCHES, people=PEOPLE)
    assert not older.exists()
    assert other.exists()
    assert (tmp_path / found.naive.parent.name).exists()


def test_a_set_of_broken_days_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="whole days"):
        dataset.build(tmp_path, 1_500, people=PEOPLE)
