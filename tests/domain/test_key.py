"""What a key may do: the table of scopes, and which of them come by themselves."""

import pytest

from punchgate.domain import key
from punchgate.domain.ids import AccountNo, DeviceId, KeyId
from punchgate.domain.key import Key, Scope

_BY_NAME_ONLY = {"credentials:read", "keys:manage", "audit:read", "account:manage"}


def _key(*scopes: Scope, devices: frozenset[DeviceId] | None = None) -> Key:
    return Key(AccountNo(1), KeyId("k"), "test", frozenset(scopes), devices)


def test_a_key_made_the_simple_way_works_with_every_published_contract() -> None:
    assert set(key.SCOPES) - key.DEFAULT_SCOPES == _BY_NAME_ONLY


def test_the_scopes_are_those_of_the_contracts_page_and_of_running_the_account() -> None:
    assert {
        "punches:read", "punches:write", "reports:read", "exports:read", "photos:read",
        "people:read", "people:write", "credentials:write", "credentials:read", "devices:read",
        "devices:write", "devices:command", "doors:read", "doors:open", "doors:write",
        "events:read", "endpoints:read", "endpoints:write", "keys:manage", "audit:read",
        "account:manage",
    } == set(key.SCOPES)  # fmt: skip


@pytest.mark.parametrize("scope", key.SCOPES)
def test_a_key_allows_exactly_its_scopes(scope: Scope) -> None:
    only = _key(scope)
    allowed = {each for each in key.SCOPES if only.allows(each)}
    assert allowed == ({scope, "reports:read"} if scope == "punches:read" else {scope})


def test_reading_punches_includes_reading_reports_and_not_the_other_way_round() -> None:
    assert _key("punches:read").allows("reports:read")
    assert not _key("reports:read").allows("punches:read")


def test_a_key_without_scopes_allows_nothing() -> None:
    assert not any(_key().allows(scope) for scope in key.SCOPES)


def test_a_key_without_devices_covers_all_of_its_account() -> None:
    assert _key().covers(DeviceId("gate"))


def test_a_key_with_devices_covers_those() -> None:
    limited = _key(devices=frozenset({DeviceId("gate")}))
    assert limited.covers(DeviceId("gate"))
    assert not limited.covers(DeviceId("canteen"))


@pytest.mark.parametrize(("now", "expected"), [(999, False), (1000, True), (1001, True)])
def test_a_key_is_refused_from_the_moment_at_which_it_expires(now: int, *, expected: bool) -> None:
    limited = Key(AccountNo(1), KeyId("k"), "test", frozenset(), expires_at=1000)
    assert limited.has_expired(now) is expected


def test_a_key_without_an_end_never_expires() -> None:
    assert not _key().has_expired(2**62)


def test_a_name_that_is_no_scope_spoils_the_list() -> None:
    assert key.read_scopes(["punches:read", "punches"]) is None


def test_scopes_are_read_by_their_names() -> None:
    read = key.read_scopes(["punches:read", "doors:open"])
    assert read == frozenset[Scope]({"punches:read", "doors:open"})
