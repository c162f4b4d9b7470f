"""Random keys and tokens, their hashes, and how one is compared with the other.

A key reads `pgk_<8 characters: its id>_<43 characters: 256 random bits>_<6 characters: CRC-32>`, a
device token the same with `pgd`. The prefix is for secret scanners, the checksum saves the database
a question about every typo, and the id in the middle makes finding a key one index read. Only
SHA-256 is kept: a slow hash would buy nothing for 256 random bits. This module knows no account and
no table; it forgets what it made.

What must be used again is sealed: AES-256-GCM under a master key that stands in a file or in the
environment, never in the database. A sealed value opens only where it was sealed, because its place
(`associated`) is part of what is authenticated.

The envelope is the cipher that existing client programs speak: AES-256 in ECB mode. It has no
integrity and shows equal blocks; it is here because they know no other.
"""

import base64
import binascii
import hmac
import json
import os
import re
import secrets
import stat
import string
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal, NamedTuple
from zlib import crc32

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.padding import PKCS7

Prefix = Literal["pgk", "pgd"]

_DIGITS: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ID_LENGTH: Final = 8
_SECRET_BYTES: Final = 32
# 62 ** 43 is the first power of 62 above 2 ** 256, 62 ** 6 the first above 2 ** 32.
_SECRET_LENGTH: Final = 43
_CHECKSUM_LENGTH: Final = 6
_FORM: Final = re.compile(r"(pgk|pgd)_([0-9A-Za-z]{8})_[0-9A-Za-z]{43}_([0-9A-Za-z]{6})", re.ASCII)
#: A token that a device brings along: some terminals can only be given short ones.
_GIVEN_TOKEN: Final = re.compile(r"[!-~](?:[ -~]{6,126}[!-~])", re.ASCII)
#: Bytes of a master key.
KEY_BYTES: Final = 32
#: A sealed value: this byte, the id of its key, a nonce, and what AES-GCM made.
_SEALED: Final = b"\x01"
_KEY_ID_BYTES: Final = 4
_NONCE_BYTES: Final = 12
#: The cipher of client programs.
_ENVELOPE_KEY_LENGTH: Final = 32
_BLOCK_BITS: Final = 128
#: Ids are typed and read aloud: one case, and nothing that looks like something else.
_ID_LETTERS: Final = "23456789abcdefghjkmnpqrstuvwxyz"


class VaultError(Exception):
    """A master key that cannot be used, or a sealed value that it does not open.

    `str(error)` is a sentence for an operator; it names files, never a key.
    """


class Minted(NamedTuple):
    """A fresh secret: `text` is shown once to whoever asked for it, `id` and `digest` are kept."""

    text: str
    id: str
    digest: bytes

    def __repr__(self) -> str:
        return f"Minted(id={self.id!r})"


def mint(prefix: Prefix) -> Minted:
    """Make a new key (`pgk`) or device token (`pgd`)."""
    key_id = "".join(secrets.choice(_DIGITS) for _ in range(_ID_LENGTH))
    number = int.from_bytes(secrets.token_bytes(_SECRET_BYTES), "big")
    body = f"{prefix}_{key_id}_{_base62(number, _SECRET_LENGTH)}"
    text = f"{body}_{_checksum(body)}"
    return Minted(text, key_id, digest(text))


def mint_id(prefix: str) -> str:
    """Make a fresh name for something: the prefix and 12 characters."""
    return f"{prefix}_{''.join(secrets.choice(_ID_LETTERS) for _ in range(12))}"


def mint_signing_secret() -> str:
    """Make the secret that an endpoint shares with its receiver: `whsec_` and 256 random bits."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode("ascii")


def read_id(presented: str, prefix: Prefix) -> str | None:
    """Give the id inside a key or token, or None when its form or its checksum is wrong."""
    form = _FORM.fullmatch(presented)
    if form is None or form[1] != prefix:
        return None
    if _checksum(presented[: -_CHECKSUM_LENGTH - 1]) != form[3]:
        return None
    return form[2]


def is_given_token(text: str) -> bool:
    """Say whether a token given by hand will do: 8 to 128 printable ASCII characters."""
    return _GIVEN_TOKEN.fullmatch(text) is not None


def digest(secret: str) -> bytes:
    """Give what is kept of a secret."""
    # A header may hold anything; what cannot be encoded must be wrong, not an error.
    return sha256(secret.encode("utf-8", "surrogatepass")).digest()


def matches(presented: str, kept: bytes) -> bool:
    """Say whether a secret is the one whose digest was kept; every wrong one takes equally long."""
    return hmac.compare_digest(digest(presented), kept)


def is_envelope_key(text: str) -> bool:
    """Say whether a security key will do: exactly 32 ASCII characters, its bytes."""
    return len(text) == _ENVELOPE_KEY_LENGTH and text.isascii()


def envelope_encrypt(content: bytes, key: str) -> bytes:
    """Encrypt a body as client programs read it: base64, on one line, of AES-256-ECB with PKCS#7.

    Errors:  ValueError if `key` is not exactly 32 ASCII characters.
    """
    padder = PKCS7(_BLOCK_BITS).padder()
    encryptor = _envelope(key).encryptor()
    padded = padder.update(content) + padder.finalize()
    return base64.b64encode(encryptor.update(padded) + encryptor.finalize())


def envelope_decrypt(body: bytes, key: str) -> bytes:
    """Decrypt a body of a client program.

    Shapes:  blanks and line breaks in the base64 and JSON quotes around it are overlooked; where
             the padding is not PKCS#7 it is taken for zero bytes, which are stripped.
    Errors:  ValueError if it is no base64 of whole blocks, or `key` is not 32 ASCII characters. A
             wrong key is no error: this cipher cannot tell, and gives noise.
    """
    text = body.strip()
    if text.startswith(b'"'):
        text = str(json.loads(text)).encode()
    sealed = base64.b64decode(b"".join(text.split()), validate=True)
    decryptor = _envelope(key).decryptor()
    padded = decryptor.update(sealed) + decryptor.finalize()
    unpadder = PKCS7(_BLOCK_BITS).unpadder()
    try:
        return unpadder.update(padded) + unpadder.finalize()
    except ValueError:
        return padded.rstrip(b"\0")


def _envelope(key: str) -> Cipher[modes.ECB]:
    if not is_envelope_key(key):
        raise ValueError("A security key is exactly 32 ASCII characters.")
    return Cipher(algorithms.AES(key.encode("ascii")), modes.ECB())  # noqa: S305 (what they speak)


def _checksum(body: str) -> str:
    return _base62(crc32(body.encode("ascii")), _CHECKSUM_LENGTH)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))


@dataclass(slots=True)
class Vault:
    """What seals values for the database and opens them again.

    Nothing is read before it is needed. A key file that is not there is made by the first `seal`,
    0600 with 32 random bytes, and not by `open`: whoever has lost his key is told so.

    Errors:       VaultError for a key file that others may read, one of the wrong size, or a sealed
                  value that was altered, moved, or sealed with a key that is not here.
    Concurrency:  safe from any thread; of processes that make the file at once, one wins for all.
    """

    #: Where the master key stands, unless it is `given`.
    file: Path
    #: The master key itself, in base64, from the environment.
    given: str | None = field(default=None, repr=False)
    #: Earlier master keys: they open, they do not seal.
    old_files: Sequence[Path] = ()
    _ciphers: dict[bytes, AESGCM] = field(default_factory=dict, init=False, repr=False)

    @property
    def is_new(self) -> bool:
        """Say whether the next `seal` would make the first key: nothing sealed can be opened."""
        return self.given is None and not self.old_files and not self.file.exists()

    def seal(self, plain: bytes, associated: bytes) -> bytes:
        """Encrypt a value for the place that `associated` names."""
        if self.given is None:
            _ensure_key(self.file)
        ciphers = self._load()
        key_id = next(iter(ciphers))
        head = _SEALED + key_id
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return head + nonce + ciphers[key_id].encrypt(nonce, plain, head + associated)

    def open(self, blob: bytes, associated: bytes) -> bytes:
        """Decrypt a value that was sealed for this place."""
        start = len(_SEALED) + _KEY_ID_BYTES
        head, nonce, sealed = (
            blob[:start],
            blob[start : start + _NONCE_BYTES],
            blob[start + _NONCE_BYTES :],
        )
        if head[:1] != _SEALED or len(nonce) < _NONCE_BYTES:
            raise VaultError("A sealed value does not have the form that this program writes.")
        cipher = self._load().get(head[1:])
        if cipher is None:
            raise VaultError(
                f"A value was sealed with another master key (its id is {head[1:].hex()})."
                f" Put that key back in {self.file}, or name its file in `secrets.old_key_files`."
            )
        try:
            return cipher.decrypt(nonce, sealed, head + associated)
        except InvalidTag:
            raise VaultError(
                "A sealed value was altered, or belongs to something else; it does not open."
            ) from None

    def _load(self) -> dict[bytes, AESGCM]:
        """Read the keys once; the one that seals comes first."""
        if not self._ciphers:
            if self.given is None and self.old_files:
                # Whoever names earlier keys has begun a new one; it is there before it seals.
                _ensure_key(self.file)
            first = _read_key(self.file) if self.given is None else _given_key(self.given)
            keys = [first, *(_read_key(path) for path in self.old_files)]
            # Put in place at once: another thread sees all of them or none.
            self._ciphers = {sha256(key).digest()[:_KEY_ID_BYTES]: AESGCM(key) for key in keys}
        return self._ciphers


def _ensure_key(path: Path) -> None:
    """Make a key file unless there is one; it appears with all of its bytes or not at all."""
    if path.exists():
        return
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as written:
            written.write(secrets.token_bytes(KEY_BYTES))
            written.flush()
            os.fsync(written.fileno())
        with suppress(FileExistsError):
            # Another process was quicker; its key is as good.
            path.hardlink_to(draft)
        draft.unlink()
        _flush_names(path.parent)
    except OSError as error:
        raise VaultError(f"The master key {path} cannot be made: {error.strerror}.") from error


def _flush_names(directory: Path) -> None:
    # What is sealed reaches the disk with its commit; its key must be there before.
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _read_key(path: Path) -> bytes:
    try:
        with path.open("rb") as opened:
            mode = os.fstat(opened.fileno()).st_mode
            key = opened.read(KEY_BYTES + 1)
    except OSError as error:
        raise VaultError(
            f"The master key {path} cannot be read: {error.strerror}. Without it nothing that was"
            " sealed can be opened; put it back."
        ) from error
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        raise VaultError(
            f"Everybody on this machine may read the master key {path}. `chmod 600 {path}` helps;"
            " if somebody has read it, rotate the secrets of every endpoint."
        )
    if len(key) != KEY_BYTES:
        raise VaultError(f"The master key {path} must hold exactly {KEY_BYTES} bytes.")
    return key


def _given_key(text: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise VaultError(
            f"The master key of the environment must be the base64 of {KEY_BYTES} bytes."
        )
    return key
