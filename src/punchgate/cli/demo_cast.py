"""Who plays in `punchgate demo`: its devices, its people, and the key that payroll reads with.

They are added through the use cases, as an operator's commands would.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from punchgate.cli import demo_terminals
from punchgate.cli.demo_terminals import Standing
from punchgate.domain import localtime
from punchgate.domain.account import DEFAULT_ACCOUNT
from punchgate.domain.error import Invalid
from punchgate.simulators import day, http
from punchgate.usecases import accounts, devices, keys, people, policies
from punchgate.usecases.context import Context

#: Serial, id and name; the last is the cafeteria (`simulators/day.py`).
DEVICES: Final = (
    ("DEMO-GATE", "main-gate", "Main Gate"),
    ("DEMO-WAREHOUSE", "warehouse", "Warehouse Gate"),
    ("DEMO-CAFETERIA", "cafeteria", "Cafeteria"),
)
#: The last of them works through the night.
PEOPLE: Final = (
    "Amara Okafor",
    "Bence Nagy",
    "Camila Rojas",
    "Dmitri Volkov",
    "Elif Kaya",
    "Farid Haddad",
    "Grace Kim",
    "Hugo Lindqvist",
    "Ines Duarte",
    "Jonas Weber",
    "Kavya Iyer",
    "Rahul Sharma",
)
#: So that a night worker's exit belongs to the day of the entry.
_RULES: Final = {"attribution": "session"}
_SINCE: Final = date(2000, 1, 1)
_LOCAL_ZONE: Final = Path("/etc/localtime")


@dataclass(frozen=True, slots=True)
class Cast:
    """What the devices prove themselves with, in the order of `DEVICES`, and payroll's key."""

    devices: Sequence[http.Credentials]
    key: str


async def register(context: Context, now: int, there: Standing) -> Cast:
    """Add everybody, terminals too; `now` is in milliseconds since 1970 UTC."""
    account = (await accounts.get(context, DEFAULT_ACCOUNT)).no
    by: dict[str, Any] = {"actor": "demo", "now": now}
    rules = policies.StoredPolicy(_SINCE, _RULES)
    await policies.set_policy(context, account, rules, **by)
    added = [
        await devices.add(context, account, _device(serial, device_id, name), **by)
        for serial, device_id, name in DEVICES
    ]
    await demo_terminals.register(context, account, there, zone=_zone(), by=by)
    for code, name in zip(day.user_codes(len(PEOPLE)), PEOPLE, strict=True):
        changes = people.Changes(name=name, custom_id=f"EMP-{code}")
        await people.add(context, account, code, changes, **by)
    payroll = keys.New(name="payroll", scopes=["reports:read"])
    key = await keys.add(context, account, payroll, **by)
    return Cast([http.Credentials(one.device.serial, one.token) for one in added], key.text)


def _device(serial: str, device_id: str, name: str) -> devices.New:
    return devices.New(
        serial=serial, id=device_id, changes=devices.Changes(name=name, zone=_zone())
    )


def _zone() -> str:
    """Give the zone of this machine, so that the demo's today is the visitor's; UTC if unknown."""
    _, _, name = str(_LOCAL_ZONE.resolve()).partition("/zoneinfo/")
    try:
        localtime.find_zone(name)
    except Invalid:
        return "UTC"
    return name
