"""The lock of the Node clients: exact versions with hashes, and no address of a registry."""

import json
from pathlib import Path

from tests.clients import run

_FOLDER = Path(__file__).parent


def test_the_node_clients_are_locked_with_hashes_and_without_addresses() -> None:
    text = (_FOLDER / "package-lock.json").read_text("utf-8")
    assert "://" not in text
    packages = json.loads(text)["packages"]
    named = {name: one for name, one in packages.items() if name}
    assert named.keys() >= {f"node_modules/{name}" for name in run.PACKAGES.values()}
    assert all(one["integrity"].startswith("sha512-") for one in named.values())


def test_what_is_asked_for_is_an_exact_version_and_the_one_that_is_locked() -> None:
    wanted = json.loads((_FOLDER / "package.json").read_text("utf-8"))["dependencies"]
    locked = json.loads((_FOLDER / "package-lock.json").read_text("utf-8"))["packages"]
    assert wanted == {name: locked[f"node_modules/{name}"]["version"] for name in wanted}


def test_npm_writes_no_address_into_the_lock() -> None:
    assert "omit-lockfile-registry-resolved=true" in (_FOLDER / ".npmrc").read_text().split()
