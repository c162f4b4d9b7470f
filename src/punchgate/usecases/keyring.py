"""What one process remembers of API keys: a second at most, and never that one is unknown.

A key that was revoked in another process is refused here within that second. It also gathers when
keys were used, so that a request never waits for such a note; `keys.note_uses` writes them. It asks
nothing and decides nothing.
"""

from collections.abc import Mapping
from typing import Final

from punchgate.domain.ids import AccountNo, KeyId
from punchgate.store.keys import StoredKey

#: How long an answer of the store counts; "a revoked key is refused within one second".
LIFETIME_MS: Final = 1_000
#: At most one write a minute per key.
USE_INTERVAL_MS: Final = 60_000
#: A few megabytes; whoever has more keys in use at once asks the store more often.
BOUND: Final = 10_000


class Keyring:
    """The keys that one process has seen lately, and which of them were used."""

    def __init__(self) -> None:
        self._held: dict[KeyId, tuple[StoredKey, int]] = {}
        self._noted: dict[tuple[AccountNo, KeyId], int] = {}
        self._uses: dict[tuple[AccountNo, KeyId], int] = {}

    def recall(self, key_id: KeyId, now: int) -> StoredKey | None:
        """Give a key that the store named less than a second ago, else None: ask the store."""
        held = self._held.get(key_id)
        if held is None:
            return None
        stored, read_at = held
        # A clock that was set back makes an entry look younger than it is; it counts as old.
        return stored if 0 <= now - read_at < LIFETIME_MS else None

    def keep(self, stored: StoredKey, now: int) -> None:
        """Remember what the store said just now."""
        if len(self._held) >= BOUND:
            self._held.clear()
        self._held[stored.key.key_id] = (stored, now)

    def use(self, stored: StoredKey, now: int) -> None:
        """Note that a key was used, unless that was noted within the last minute."""
        name = (stored.key.account, stored.key.key_id)
        known = (stored.last_used_at, self._noted.get(name))
        last = max((at for at in known if at is not None), default=None)
        if last is not None and now - last < USE_INTERVAL_MS:
            return
        if len(self._noted) >= BOUND:
            self._noted.clear()
        self._noted[name] = now
        self._uses[name] = now

    def take_uses(self) -> dict[tuple[AccountNo, KeyId], int]:
        """Hand over the uses that nobody has written yet, and forget them."""
        uses, self._uses = self._uses, {}
        return uses

    def put_back(self, uses: Mapping[tuple[AccountNo, KeyId], int]) -> None:
        """Take back uses that could not be written; what came since is the later word."""
        self._uses = {**uses, **self._uses}
