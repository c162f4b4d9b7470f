"""Distinct types for every id.

So the checker catches the classic of this trade: one number taken for another.
"""

from typing import NewType

#: Number of an account inside this installation; 1 is `main`.
AccountNo = NewType("AccountNo", int)
#: Our name for a device, unique within its account: `main-gate`.
DeviceId = NewType("DeviceId", str)
#: What a device calls itself, unique within the installation among the devices that are not
#: removed.
SerialNumber = NewType("SerialNumber", str)
#: Automatic number of a person, counted up per account from 1, never reused.
PersonNo = NewType("PersonNo", int)
#: The text that stands for a person on the wire. `"0042"` and `"42"` are different people.
UserCode = NewType("UserCode", str)
#: 26 characters in ULID form, derived from the punch (docs/decisions/0004-derived-punch-id.md).
PunchId = NewType("PunchId", str)
#: 26 characters, derived from what was quarantined.
QuarantineId = NewType("QuarantineId", str)
#: The public part of an API key.
KeyId = NewType("KeyId", str)
#: Our name for a receiver of webhooks: `ep_` and 12 characters.
EndpointId = NewType("EndpointId", str)
#: Our name for a replay job: `rp_` and 12 characters.
ReplayId = NewType("ReplayId", str)
