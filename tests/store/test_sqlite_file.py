"""Where a SQLite file may lie.

Real: a directory and the number of its device. Invented: what is mounted there.
"""

import os
from pathlib import Path

import pytest

from punchgate.store import sqlite_file
from punchgate.store.error import StoreUnsafe


def _mounts(tmp_path: Path, kind: str) -> Path:
    device = tmp_path.stat().st_dev
    lines = (
        "21 1 0:0 / /proc rw,relatime shared:5 - proc proc rw",
        f"36 21 {os.major(device)}:{os.minor(device)} / {tmp_path} rw - {kind} server:/share rw",
        "cut",
    )
    file = tmp_path / "mountinfo"
    file.write_text("\n".join(lines))
    return file


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs"])
def test_a_disk_of_another_machine_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    with pytest.raises(StoreUnsafe, match=f"is on {kind}, a file system of another machine"):
        sqlite_file.refuse_remote(tmp_path, _mounts(tmp_path, kind))


@pytest.mark.parametrize("kind", ["ext4", "xfs", "overlay", "tmpfs"])
def test_a_disk_of_this_machine_will_do(tmp_path: Path, kind: str) -> None:
    sqlite_file.refuse_remote(tmp_path, _mounts(tmp_path, kind))


def test_where_nothing_is_known_nothing_is_refused(tmp_path: Path) -> None:
    sqlite_file.refuse_remote(tmp_path, tmp_path / "none")


def test_this_machine_can_be_asked(tmp_path: Path) -> None:
    sqlite_file.refuse_remote(tmp_path)
