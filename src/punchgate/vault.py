"""Random keys and tokens, their hashes, and how one is compared with the other.

A key reads `pgk_<8 characters: its id>_<43 characters: 256 random bits>_<6 characters: CRC-32>`, a
device token the same with `pgd`. The prefix is for secret scanners, the checksum saves the database
a question about every typo, and the id in the middle makes finding a key one index read. Only
SHA-256 is kept: a slow hash would buy nothing for 256 random bits. This module knows no account and
no table; it forgets what it made.
"""

import hmac
import re
import secrets
import string
from hashlib import sha256
from typing import Final, Literal, NamedTuple
from zlib import crc32

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


def _checksum(body: str) -> str:
    return _base62(crc32(body.encode("ascii")), _CHECKSUM_LENGTH)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
