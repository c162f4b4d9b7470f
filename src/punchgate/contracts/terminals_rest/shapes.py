"""What goes over the wire of the terminals' surface: every answer, with its published names.

Beware of two of them: `status` is how somebody was recognised, `punch` is which way they went. How
answers are written is `writing.py`, how requests are read `fields.py`.
"""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType, field

from punchgate.domain.ids import DeviceId

#: What the published surface calls a user code.
PERSON: Final = "user_id"

Yes = Annotated[bool, Meta(extra_json_schema={"const": True})]
No = Annotated[bool, Meta(extra_json_schema={"const": False})]


class Failure(msgspec.Struct):
    """The one form of every error."""

    success: No
    error: str


class NoDevice(msgspec.Struct):
    """A device that is not there, and those that are."""

    success: No
    error: str
    disponibles: list[str]


def no_device(text: str, known: list[DeviceId]) -> NoDevice:
    """Say that a device is not there, and which ones are."""
    return NoDevice(success=False, error=text, disponibles=list(known))


class NoPing(msgspec.Struct):
    """A terminal that could not be asked for its time."""

    success: No
    error: str
    ip: str | None


class Done(msgspec.Struct):
    """Something that was done."""

    success: Yes
    message: str


class Punch(msgspec.Struct):
    """One record; `status` is how somebody was recognised, `punch` is which way they went."""

    user_id: str
    wall_time: str = field(name="timestamp")
    status: int
    punch: int
    device_id: str
    device_name: str


class Attendance(msgspec.Struct):
    """The records of one device, newest first."""

    success: Yes
    total: int
    data: list[Punch]


class AllAttendance(msgspec.Struct):
    """The records of all terminals together, newest first, and why some could not be read."""

    success: Yes
    total: int
    errors: dict[str, str]
    data: list[Punch]


class Listed(msgspec.Struct):
    """One device of the list."""

    id: str
    name: str
    ip: str | None
    port: int | None
    created_at: str


class Devices(msgspec.Struct):
    """Devices in the order of their registration."""

    success: Yes
    total: int
    data: list[Listed]


class Device(msgspec.Struct):
    """One device."""

    id: str
    name: str
    ip: str | None
    port: int | None
    timeout: int | float | None
    created_at: str
    updated_at: str | None


class DeviceFound(msgspec.Struct):
    """The answer to a question for one device."""

    success: Yes
    data: Device


class Saved(msgspec.Struct):
    """A device as it was saved; `password` is shown only to whoever has just set it."""

    ip: str | None
    port: int | None
    password: int | None
    timeout: int | float | None
    name: str
    created_at: str
    updated_at: str | UnsetType | None = UNSET


class DeviceSaved(msgspec.Struct):
    """The answer to a registration and to a change."""

    success: Yes
    message: str
    data: Saved


class Ping(msgspec.Struct):
    """The answer of a terminal that was asked for its time."""

    success: Yes
    message: str
    device_time: str | None
    ip: str | None


class StateOf(msgspec.Struct):
    """What was last heard of a device; null where that is not known."""

    id: str
    online: bool
    last_seen: str | None
    last_error: str | None
    clock_skew_s: int | None
    records: int | None
    queue: int


class StateFound(msgspec.Struct):
    """The answer to a question for a device's state."""

    success: Yes
    data: StateOf


class About(msgspec.Struct):
    """What a terminal says of itself."""

    id: str
    name: str
    ip: str | None
    serial: str = field(name="serialnumber")
    device_name: str
    platform: str
    firmware_version: str
    users_count: int | None
    device_time: str | None


class InfoRead(msgspec.Struct):
    """The answer to a question for what a terminal is."""

    success: Yes
    data: About


class Time(msgspec.Struct):
    """What a terminal's clock shows; null if it cannot be read."""

    success: Yes
    device_id: str
    device_time: str | None


class User(msgspec.Struct):
    """Somebody on a terminal."""

    uid: int
    user_id: str
    name: str
    privilege: int
    card: int
    device_id: str


class Users(msgspec.Struct):
    """Who is on a terminal, in its order."""

    success: Yes
    total: int
    data: list[User]


class NewUser(msgspec.Struct):
    """Somebody who was put on a terminal, with the name as it was stored."""

    user_id: str
    name: str
    device_id: str


class UserSaved(msgspec.Struct):
    """The answer to a new user."""

    success: Yes
    message: str
    data: NewUser


class Finger(msgspec.Struct):
    """Whose finger a terminal now waits for, and which."""

    user_id: str
    device_id: str
    finger_index: int
    finger_name: str


class Enrolling(msgspec.Struct):
    """The answer to the start of an enrolment."""

    success: Yes
    message: str
    data: Finger


class Place(msgspec.Struct):
    """Where a terminal stands."""

    ip: str
    name: str


class Root(msgspec.Struct):
    """That we are here, and to whom may know it, which terminals are."""

    status: Literal["online"]
    now: str = field(name="timestamp")
    total_dispositivos: int | UnsetType = UNSET
    dispositivos: dict[str, Place] | UnsetType = UNSET


class UserToAdd(msgspec.Struct):
    """Somebody who is to be put on a terminal."""

    user_id: Annotated[str | int, Meta(description="1 to 24 printable ASCII characters.")]
    name: Annotated[str, Meta(description="Cut where the terminal takes less.")]
    password: Annotated[str | int, Meta(description="Up to 8 digits.")] = ""
    privilege: Annotated[int, Meta(description="0 user, 14 administrator; also 2 and 6.")] = 0
    card: Annotated[int | str, Meta(description="0 is none.")] = 0


class UserToChange(msgspec.Struct):
    """What to change of somebody on a terminal; what is absent stays."""

    name: str | UnsetType = UNSET
    password: Annotated[str | int | UnsetType, Meta(description="An empty one goes.")] = UNSET
    privilege: int | UnsetType = UNSET
    card: Annotated[int | str | UnsetType, Meta(description="0 takes it away.")] = UNSET
