"""An API key: in whose name a program speaks, and what it may do; not its secret (`vault.py`)."""

from dataclasses import dataclass
from typing import Final, Literal, get_args

from punchgate.domain.ids import AccountNo, DeviceId, KeyId

Scope = Literal[
    "punches:read",
    "punches:write",
    "reports:read",
    "exports:read",
    "photos:read",
    "people:read",
    "people:write",
    "credentials:write",
    "credentials:read",
    "devices:read",
    "devices:write",
    "devices:command",
    "doors:read",
    "doors:open",
    "doors:write",
    "events:read",
    "endpoints:read",
    "endpoints:write",
    "keys:manage",
    "audit:read",
    "account:manage",
]

SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)

#: What must be asked for by name: templates and PINs, and running the account itself.
_BY_NAME_ONLY: Final[frozenset[Scope]] = frozenset(
    {"credentials:read", "keys:manage", "audit:read", "account:manage"}
)

#: What a key made without a scope gets. The published contracts know keys and no scopes, so a key
#: that is made the simple way has to work with all of them.
DEFAULT_SCOPES: Final[frozenset[Scope]] = frozenset(SCOPES) - _BY_NAME_ONLY

#: Scopes that come with another one.
_INCLUDED: Final[dict[Scope, Scope]] = {"reports:read": "punches:read"}


@dataclass(frozen=True, slots=True)
class Key:
    """One API key. Whether it has expired is for whoever knows the time."""

    account: AccountNo
    key_id: KeyId
    name: str
    scopes: frozenset[Scope]
    #: The devices that it is limited to; `None` is account-wide.
    devices: frozenset[DeviceId] | None = None
    #: Milliseconds since 1970 UTC from which it is refused; `None` is never.
    expires_at: int | None = None
    #: Reports that it may ask for within a window; 0 is no limit, `None` what the settings say.
    report_requests: int | None = None

    def allows(self, scope: Scope) -> bool:
        """Say whether the key holds a scope, by name or because another one includes it."""
        return scope in self.scopes or _INCLUDED.get(scope) in self.scopes

    def covers(self, device_id: DeviceId) -> bool:
        """Say whether the key may touch a device of its account."""
        return self.devices is None or device_id in self.devices

    def has_expired(self, now: int) -> bool:
        """Say whether the key's time is over; `now` is in milliseconds."""
        return self.expires_at is not None and now >= self.expires_at


def read_scopes(names: list[str]) -> frozenset[Scope] | None:
    """Give the scopes of these names, or None when one of them is no scope."""
    known = {str(scope): scope for scope in SCOPES}
    if any(name not in known for name in names):
        return None
    return frozenset(known[name] for name in names)
