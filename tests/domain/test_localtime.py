"""Wall times and instants, against `zoneinfo` asked minute by minute.

Real: the packaged zone data. The oracle searches all instants of a day for those at which a clock
shows a wall time, which is slow and plain; nothing of it is shared with the code.
"""

import zoneinfo
from datetime import UTC, date, datetime, timedelta
from importlib import resources
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punchgate.domain import localtime
from punchgate.domain.error import Invalid
from punchgate.domain.localtime import AMBIGUOUS, FOLD_INFERRED, NONEXISTENT

BERLIN = localtime.find_zone("Europe/Berlin")
ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Africa/Casablanca",
)


def wall(text: str) -> datetime:
    return datetime.fromisoformat(text)


def instant(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def shown_at(at: int, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(at, UTC).astimezone(zone).replace(tzinfo=None)


def passes(wall_time: datetime, zone: ZoneInfo) -> list[int]:
    """Find every instant at which a clock of the zone shows a time, by trying all offsets."""
    as_if_utc = int(wall_time.replace(tzinfo=UTC).timestamp())
    tried = range(as_if_utc - 15 * 3600, as_if_utc + 15 * 3600, 900)
    return [at for at in tried if shown_at(at, zone) == wall_time]


def changes(zone: ZoneInfo, year: int) -> list[int]:
    """Find the instants of a year at which the offset changes, to the quarter of an hour."""
    start = int(datetime(year, 1, 1, tzinfo=UTC).timestamp())
    offsets = [
        (at, datetime.fromtimestamp(at, zone).utcoffset())
        for at in range(start, start + 366 * 86_400, 900)
    ]
    return [late[0] for early, late in pairwise(offsets) if early[1] != late[1]]


def test_an_ordinary_time_has_one_instant_and_no_flag() -> None:
    resolved = localtime.resolve(wall("2026-06-21 09:30:00"), localtime.find_zone("Asia/Kolkata"))
    assert resolved == (instant("2026-06-21T04:00:00Z"), 19_800, ())


def test_what_is_below_a_second_is_cut() -> None:
    whole = localtime.resolve(wall("2026-06-21 09:30:59"), BERLIN)
    assert localtime.resolve(wall("2026-06-21 09:30:59.999999"), BERLIN) == whole
    near = localtime.resolve(wall("2026-03-29 09:30:59"), BERLIN)
    assert localtime.resolve(wall("2026-03-29 09:30:59.999999"), BERLIN) == near


@pytest.mark.parametrize(
    ("zone", "said", "shown", "offset_s"),
    [
        ("Europe/Berlin", "2026-03-29 02:00:00", "2026-03-29 03:00:00", 7200),
        ("Europe/Berlin", "2026-03-29 02:30:00", "2026-03-29 03:30:00", 7200),
        ("Europe/Berlin", "2026-03-29 02:59:59", "2026-03-29 03:59:59", 7200),
        ("Australia/Lord_Howe", "2026-10-04 02:15:00", "2026-10-04 02:45:00", 39_600),
        ("Pacific/Apia", "2011-12-30 10:00:00", "2011-12-31 10:00:00", 50_400),
    ],
)
def test_a_skipped_time_moves_forward_by_the_gap(
    zone: str, said: str, shown: str, offset_s: int
) -> None:
    resolved = localtime.resolve(wall(said), localtime.find_zone(zone))
    assert localtime.as_wall(resolved.instant + resolved.utc_offset_s) == wall(shown)
    assert (resolved.utc_offset_s, resolved.flags) == (offset_s, (NONEXISTENT,))


@pytest.mark.parametrize("edge", ["2026-03-29 01:59:59", "2026-03-29 03:00:00"])
def test_the_edges_of_a_gap_exist(edge: str) -> None:
    assert localtime.resolve(wall(edge), BERLIN).flags == ()


@pytest.mark.parametrize("edge", ["2026-10-25 01:59:59", "2026-10-25 03:00:00"])
def test_the_edges_of_an_ambiguous_hour_are_plain(edge: str) -> None:
    assert localtime.resolve(wall(edge), BERLIN).flags == ()
    assert not localtime.is_ambiguous(wall(edge), BERLIN)


FIRST, SECOND = instant("2026-10-25T00:10:00Z"), instant("2026-10-25T01:10:00Z")


@pytest.mark.parametrize(
    ("fold", "made", "expected", "flags"),
    [
        (None, [], FIRST, (AMBIGUOUS,)),
        (None, [FIRST - 60], FIRST, (AMBIGUOUS,)),
        (None, [FIRST], FIRST, (AMBIGUOUS,)),
        (None, [FIRST + 1], SECOND, (AMBIGUOUS, FOLD_INFERRED)),
        (None, [SECOND], SECOND, (AMBIGUOUS, FOLD_INFERRED)),
        # Behind both passes: this one came out of order, and which it is nobody knows.
        (None, [SECOND + 1], FIRST, (AMBIGUOUS,)),
        (None, [SECOND + 1, FIRST + 60, FIRST - 60], SECOND, (AMBIGUOUS, FOLD_INFERRED)),
        (0, [], FIRST, ()),
        (1, [], SECOND, ()),
        (0, [FIRST + 60], FIRST, ()),
        (1, [FIRST - 60], SECOND, ()),
    ],
)
def test_the_pass_of_an_ambiguous_time(
    fold: int | None, made: list[int], expected: int, flags: tuple[str, ...]
) -> None:
    resolved = localtime.resolve(wall("2026-10-25 02:10:00"), BERLIN, fold=fold, made=made)
    assert (resolved.instant, resolved.flags) == (expected, flags)
    assert resolved.utc_offset_s == (7200 if expected == FIRST else 3600)


def test_an_earlier_punch_says_nothing_about_a_plain_time() -> None:
    said = wall("2026-06-21 09:30:00")
    plain = localtime.resolve(said, BERLIN)
    assert localtime.resolve(said, BERLIN, made=[plain.instant + 60]) == plain


def test_a_pass_does_not_bring_back_a_skipped_time() -> None:
    said = wall("2026-03-29 02:30:00")
    assert localtime.resolve(said, BERLIN, fold=1) == localtime.resolve(said, BERLIN)


@pytest.mark.parametrize("name", ZONES)
@pytest.mark.parametrize("year", [2011, 2026, 2037, 2038, 2099])
def test_the_days_around_each_change_agree_with_zoneinfo(name: str, year: int) -> None:
    zone = localtime.find_zone(name)
    for change in changes(zone, year):
        for step in range(-26 * 3600, 26 * 3600, 1800):
            said = localtime.as_wall(change + step + localtime.wall_at(change, zone)[1])
            agrees(said, zone)


def agrees(said: datetime, zone: ZoneInfo) -> None:
    found = passes(said, zone)
    resolved = localtime.resolve(said, zone)
    shown = localtime.as_wall(resolved.instant + resolved.utc_offset_s)
    assert shown == shown_at(resolved.instant, zone)
    assert localtime.is_ambiguous(said, zone) == (len(found) == 2)
    if found:
        assert resolved.instant == found[0]
        assert resolved.flags == ((AMBIGUOUS,) if len(found) == 2 else ())
        assert localtime.resolve(said, zone, fold=1).instant == found[-1]
    else:
        assert resolved.flags == (NONEXISTENT,)
        assert shown > said


@given(
    st.sampled_from(ZONES),
    st.datetimes(wall("2000-01-01"), wall("2100-12-31")),
)
def test_any_time_agrees_with_zoneinfo(name: str, said: datetime) -> None:
    agrees(said.replace(second=0, microsecond=0), localtime.find_zone(name))


@given(st.sampled_from(ZONES), st.integers(946_684_800, 4_133_980_799))
def test_an_instant_shown_and_read_again_is_itself(name: str, at: int) -> None:
    zone = localtime.find_zone(name)
    shown, offset_s = localtime.wall_at(at, zone)
    assert localtime.resolve(shown, zone, fold=shown.fold) == (at, offset_s, ())


def test_days_are_remembered_within_a_bound() -> None:
    first = date(2001, 1, 1)
    for number in range(9000):
        localtime.resolve(datetime.combine(first + timedelta(number), datetime.min.time()), BERLIN)
    remembered = localtime._only_offset.cache_info()
    assert remembered.maxsize is not None
    assert remembered.currsize <= remembered.maxsize < 9000


@pytest.mark.parametrize("said", [wall("0001-01-01"), wall("9999-12-31 23:59:59")])
def test_the_ends_of_the_calendar_are_no_error(said: datetime) -> None:
    for name in ZONES:
        zone = localtime.find_zone(name)
        assert localtime.resolve(said, zone).flags == ()
        assert not localtime.is_ambiguous(said, zone)


def test_a_zone_is_found_once_and_by_its_own_name() -> None:
    assert BERLIN.key == "Europe/Berlin"
    assert localtime.find_zone("Europe/Berlin") is BERLIN


def test_every_zone_of_the_packaged_list_is_found() -> None:
    for name in localtime._zone_names():
        assert localtime.find_zone(name).key == name


def test_zone_rules_do_not_come_from_the_host() -> None:
    searched = zoneinfo.TZPATH
    zoneinfo.reset_tzpath(to=[])
    try:
        found = localtime.find_zone.__wrapped__("America/Nuuk")
    finally:
        zoneinfo.reset_tzpath(to=searched)
    assert found.utcoffset(wall("2026-01-01")) == timedelta(hours=-2)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Mars/Olympus",
        "../zones",
        "Europe/../Europe/Berlin",
        "/etc/localtime",
        "Europe",
        "Europe/",
        "__init__.py",
        "Europe\\Berlin",
        "Europe/Berlin\0",
        "+05:30",
    ],
)
def test_a_name_that_is_no_zone_is_refused_in_a_sentence(name: str) -> None:
    with pytest.raises(Invalid) as caught:
        localtime.find_zone(name)
    hint = "Use a name of the IANA list, such as 'Europe/Berlin' or 'UTC'."
    assert str(caught.value) == f"There is no time zone {name!r}. {hint}"


@pytest.mark.parametrize("name", ["europe/berlin", "berlin", " Europe/Berlin", "BERLIN"])
def test_a_name_that_is_almost_a_zone_is_answered_with_it(name: str) -> None:
    with pytest.raises(Invalid, match=r"Did you mean 'Europe/Berlin'\?"):
        localtime.find_zone(name)


def test_a_name_with_a_blank_for_its_line_is_answered_too() -> None:
    with pytest.raises(Invalid, match=r"Did you mean 'America/New_York'\?"):
        localtime.find_zone("America/New York")


def test_the_version_of_the_zone_data_is_that_of_its_own_head() -> None:
    data = resources.files("tzdata.zoneinfo").joinpath("tzdata.zi").read_text("utf-8")
    assert data.splitlines()[0] == f"# version {localtime.ZONE_DATA_VERSION}"
