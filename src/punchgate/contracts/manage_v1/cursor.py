"""The cursor of manage v1: a place in the log that a client keeps for us, and cannot change.

    version  generation  tx   seq  at   | signature
    u8       u32         i64  i64  i64  | 16 bytes of HMAC-SHA-256, all in base64url

The signature binds it to the account and to what was asked for: with another filter the place would
mean that everything before it was seen, which it was not. It is made with a secret of the
installation, so every process knows it and a restart changes nothing. Who may read is the key's
matter; a cursor opens nothing.
"""

import base64
import binascii
import hmac
import struct
from dataclasses import dataclass
from typing import Final

import msgspec

from punchgate.contracts.manage_v1.errors import INVALID_CURSOR, Refused
from punchgate.domain.event import Position
from punchgate.domain.ids import AccountNo
from punchgate.reports.events import Wanted

_VERSION: Final = 1
_PLACE: Final = struct.Struct(">BIqqq")
_SIGNATURE_BYTES: Final = 16


@dataclass(frozen=True, slots=True, repr=False)
class Seal:
    """What the cursors of one account and one filter are signed with."""

    secret: bytes
    account: AccountNo
    wanted: Wanted

    def write(self, place: Position) -> str:
        """Write a place as a cursor."""
        body = _PLACE.pack(_VERSION, *place)
        return base64.urlsafe_b64encode(body + self._sign(body)).decode("ascii")

    def read(self, text: str) -> Position:
        """Read a cursor that was written for this account and filter.

        Errors:  Refused for any other text.
        """
        try:
            found = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
        except (UnicodeEncodeError, binascii.Error):
            raise Refused(INVALID_CURSOR) from None
        body, signature = found[: _PLACE.size], found[_PLACE.size :]
        if not hmac.compare_digest(signature, self._sign(body)):
            raise Refused(INVALID_CURSOR)
        _, *place = _PLACE.unpack(body)
        return Position(*place)

    def _sign(self, body: bytes) -> bytes:
        wanted = self.wanted
        bound = msgspec.json.encode(
            [
                "/v1/events",
                self.account,
                sorted(wanted.filter.events),
                sorted(wanted.filter.people),
                sorted(wanted.filter.devices),
                None if wanted.only_devices is None else sorted(wanted.only_devices),
            ]
        )
        # The body has one length, so no two pairs of body and binding are the same bytes.
        return hmac.digest(self.secret, body + bound, "sha256")[:_SIGNATURE_BYTES]
