"""The vault: what is sealed opens where it was sealed, with its key, and nowhere else.

Real: key files with their modes, AES-GCM, and in the last test both databases, searched as a whole.
"""

import base64
import stat
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, Table, select

from punchgate import vault
from punchgate.store import schema
from punchgate.usecases import endpoints
from punchgate.vault import Vault, VaultError
from tests import gateway
from tests.gateway import MAIN, NOON, Gateway

KEY = bytes(range(32))
PLACE = b"endpoint:1:ep_a"


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "master.key"


def _write(path: Path, key: bytes, mode: int = 0o600) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(key)
    path.chmod(mode)
    return path


@given(plain=st.binary(max_size=200), place=st.binary(max_size=40))
def test_whatever_was_sealed_opens_again(plain: bytes, place: bytes) -> None:
    box = Vault(Path("/nowhere"), base64.b64encode(KEY).decode())
    assert box.open(box.seal(plain, place), place) == plain


def test_the_same_value_never_looks_the_same_twice(file: Path) -> None:
    box = Vault(file)
    assert len({box.seal(b"secret", PLACE) for _ in range(50)}) == 50


def test_a_value_does_not_open_in_another_place(file: Path) -> None:
    box = Vault(file)
    blob = box.seal(b"secret", PLACE)
    with pytest.raises(VaultError, match="belongs to something else"):
        box.open(blob, b"endpoint:2:ep_a")


@given(st.data())
def test_a_blob_with_one_changed_bit_does_not_open(data: st.DataObject) -> None:
    box = Vault(Path("/nowhere"), base64.b64encode(KEY).decode())
    blob = bytearray(box.seal(b"a secret", PLACE))
    place = data.draw(st.integers(0, len(blob) - 1))
    blob[place] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(VaultError):
        box.open(bytes(blob), PLACE)


@given(st.binary(max_size=60))
def test_any_bytes_are_refused_and_no_other_error_comes_of_them(blob: bytes) -> None:
    with pytest.raises(VaultError):
        Vault(Path("/nowhere"), base64.b64encode(KEY).decode()).open(blob, PLACE)


def test_a_blob_of_a_known_key_opens_for_ever() -> None:
    # Computed once with the library alone: AES-256-GCM, nonce of twelve times 0x07, the head and
    # the place as associated data.
    blob = bytes.fromhex(
        "01630dcd290707070707070707070707077c0fc52e0a7be48c5cc6a1bd72c205a8f003ffb25ab6"
    )
    assert Vault(Path("/nowhere"), base64.b64encode(KEY).decode()).open(blob, PLACE) == b"secret"


def test_the_key_file_is_made_at_first_need_and_for_its_owner_alone(file: Path) -> None:
    box = Vault(file)
    assert not file.exists()
    blob = box.seal(b"secret", PLACE)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(file.read_bytes()) == 32
    assert list(file.parent.iterdir()) == [file]
    assert Vault(file).open(blob, PLACE) == b"secret"


def test_opening_makes_no_key(file: Path) -> None:
    with pytest.raises(VaultError, match="put it back"):
        Vault(file).open(Vault(file, base64.b64encode(KEY).decode()).seal(b"x", PLACE), PLACE)
    assert not file.exists()


def test_of_many_who_need_a_key_at_once_one_makes_it_for_all(file: Path) -> None:
    boxes = [Vault(file) for _ in range(16)]
    with ThreadPoolExecutor(16) as threads:
        blobs = list(threads.map(lambda box: box.seal(b"secret", PLACE), boxes))
    assert [Vault(file).open(blob, PLACE) for blob in blobs] == [b"secret"] * 16
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o666, 0o602])
def test_a_key_that_everybody_may_read_or_write_is_refused(file: Path, mode: int) -> None:
    _write(file, KEY, mode)
    with pytest.raises(VaultError, match=f"chmod 600 {file}"):
        Vault(file).seal(b"secret", PLACE)


@pytest.mark.parametrize("size", [0, 16, 31, 33, 64])
def test_a_key_of_another_size_is_refused(file: Path, size: int) -> None:
    _write(file, bytes(size))
    with pytest.raises(VaultError, match="exactly 32 bytes"):
        Vault(file).seal(b"secret", PLACE)


@pytest.mark.parametrize("text", ["", "short", base64.b64encode(bytes(31)).decode(), "é" * 44])
def test_a_key_of_the_environment_is_base64_of_32_bytes(file: Path, text: str) -> None:
    with pytest.raises(VaultError, match="base64 of 32 bytes"):
        Vault(file, text).seal(b"secret", PLACE)


def test_an_old_key_opens_and_does_not_seal(file: Path) -> None:
    old = _write(file.with_name("old.key"), KEY)
    blob = Vault(old).seal(b"secret", PLACE)
    box = Vault(file, old_files=(old,))
    assert box.open(blob, PLACE) == b"secret"
    with pytest.raises(VaultError, match="another master key"):
        Vault(old).open(box.seal(b"secret", PLACE), PLACE)


def test_I8_an_error_and_a_trace_name_no_key(file: Path) -> None:
    given_key = base64.b64encode(KEY).decode()
    box = Vault(file, given_key)
    blob = box.seal(b"secret", PLACE)
    assert given_key not in repr(box)
    with pytest.raises(VaultError) as caught:
        Vault(_write(file, bytes(32))).open(blob, PLACE)
    assert given_key not in str(caught.value)


def test_a_key_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    with pytest.raises(VaultError, match="cannot be made"):
        Vault(blocker / "master.key").seal(b"secret", PLACE)


def test_a_signing_secret_is_32_random_bytes_in_base64() -> None:
    secret = vault.mint_signing_secret()
    prefix, _, encoded = secret.partition("_")
    assert prefix == "whsec"
    assert len(base64.b64decode(encoded, validate=True)) == 32
    assert secret != vault.mint_signing_secret()


def test_an_id_is_a_prefix_and_12_characters() -> None:
    made = {vault.mint_id("ep") for _ in range(100)}
    assert len(made) == 100
    assert all(each.startswith("ep_") and len(each) == 15 for each in made)


async def test_I8_no_issued_secret_stands_in_the_database(
    tmp_path: Path, database_url: str
) -> None:
    async with gateway.open(tmp_path, database_url) as gate:
        issued = await _issue(gate)
        dump = await _dump(gate)
    if database_url.startswith("sqlite"):
        dump += b"".join(path.read_bytes() for path in tmp_path.glob("*.db*"))
    assert b"https://receiver.example/" in dump
    for secret in issued:
        for form in _forms(secret):
            assert form not in dump


async def _issue(gate: Gateway) -> list[str]:
    """Make one of every secret that there is."""
    token = (await gate.add_device("SN1")).token
    key = await gate.add_key()
    changes = endpoints.Changes(
        format="cams", auth_token="an auth token of theirs", security_key="K" * 31 + "k"
    )
    new = endpoints.New(address="https://receiver.example/", changes=changes)
    added = await endpoints.add(gate.context, MAIN, new, actor="test", now=NOON)
    endpoint_id = added.endpoint.id
    rotated = await endpoints.rotate(gate.context, MAIN, endpoint_id, actor="test", now=NOON)
    later = endpoints.Changes(auth_token="another auth token")
    await endpoints.set_endpoint(gate.context, MAIN, endpoint_id, later, actor="test", now=NOON)
    master = gate.context.vault.file.read_bytes()
    given = ("an auth token of theirs", "another auth token", "K" * 31 + "k")
    return [token, key, added.secret, rotated.secret, *given, master.decode("latin-1")]


async def _dump(gate: Gateway) -> bytes:
    """Give every value of every table, one after the other."""
    values: list[bytes] = []
    for table in schema.metadata.sorted_tables:
        rows = await gate.context.database.read(partial(_rows, table))
        values += [
            value if isinstance(value, bytes) else str(value).encode()
            for row in rows
            for value in row
        ]
    return b"\n".join(values)


def _rows(table: Table, tx: Connection) -> Sequence[Any]:
    return tx.execute(select(table)).all()


def _forms(secret: str) -> list[bytes]:
    """Write a secret as it might stand somewhere: as it is, in base64, as the bytes it encodes."""
    plain = secret.encode("latin-1")
    forms = [plain, base64.b64encode(plain), plain.hex().encode()]
    if secret.startswith("whsec_"):
        raw = base64.b64decode(secret.removeprefix("whsec_"))
        forms += [raw, base64.b64encode(raw), raw.hex().encode()]
    return forms
