"""How answers are written: the published JSON, compact, keys in the printed order.

A list of attendance is written row by row: it may have a hundred thousand of them.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from punchgate.contracts.terminals_rest.shapes import (
    About,
    Device,
    DeviceFound,
    Devices,
    DeviceSaved,
    Done,
    Enrolling,
    Failure,
    Finger,
    InfoRead,
    Listed,
    NewUser,
    NoPing,
    Ping,
    Place,
    Root,
    Saved,
    StateFound,
    StateOf,
    Time,
    User,
    Users,
    UserSaved,
    no_device,
)
from punchgate.domain import localtime
from punchgate.domain.ids import DeviceId
from punchgate.reports.terminals import Entry, Registered, State
from punchgate.usecases.terminals import Info, TerminalUser

#: Of a caller's own text in an answer.
_SHOWN: Final = 64
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f]")
_JSON: Final = msgspec.json.Encoder()
FINGERS: Final = (
    "Pulgar derecho", "Indice derecho", "Medio derecho", "Anular derecho", "Menique derecho",
    "Pulgar izquierdo", "Indice izquierdo", "Medio izquierdo", "Anular izquierdo",
    "Menique izquierdo",
)  # fmt: skip


class Log:
    """The rows of an answer, written slice by slice: what was written is kept, no row is."""

    def __init__(self, devices: Iterable[Registered]) -> None:
        self._tails = {
            each.device_id: f',"device_id":{_text(each.device_id)},"device_name":'
            f"{_text(name_of(each))}}}"
            for each in devices
        }
        self._codes: dict[str, str] = {}
        self._parts: list[bytes] = []
        self.total = 0

    def write(self, entries: Sequence[Entry]) -> None:
        """Write some rows behind those that are there."""
        codes, tails, rows = self._codes, self._tails, []
        for device_id, user_code, wall_time, verify_code, direction_code in entries:
            code = codes.get(user_code)
            if code is None:
                code = codes[user_code] = _text(user_code)
            rows.append(
                f'{{"user_id":{code},"timestamp":"{wall_time}","status":{verify_code},'
                f'"punch":{direction_code}{tails[device_id]}'
            )
        if rows:
            self.total += len(rows)
            self._parts.append(",".join(rows).encode())

    def answer(self, errors: Mapping[DeviceId, str] | None = None) -> bytes:
        """Give the whole answer; with `errors` it is that of all terminals."""
        failed = "" if errors is None else f'"errors":{_JSON.encode(errors).decode()},'
        head = f'{{"success":true,"total":{self.total},{failed}"data":['
        return b"".join((head.encode(), b",".join(self._parts), b"]}"))


def write_failure(text: str) -> bytes:
    """Write the one form that every error has."""
    return _JSON.encode(Failure(success=False, error=text))


def write_no_device(name: str, known: list[DeviceId]) -> bytes:
    """Write that a device is not there."""
    text = f"Dispositivo '{shown(name)}' no encontrado."
    return _JSON.encode(no_device(text, known))


def write_no_ping(text: str, device: Registered) -> bytes:
    """Write that a terminal could not be asked for its time."""
    return _JSON.encode(NoPing(success=False, error=text, ip=device.host))


def write_done(message: str) -> bytes:
    """Write that something was done."""
    return _JSON.encode(Done(success=True, message=message))


def write_devices(devices: Sequence[Registered], zone: ZoneInfo) -> bytes:
    """Write the list of devices."""
    rows = [
        Listed(
            each.device_id, name_of(each), each.host, each.port, wall_text(each.created_at, zone)
        )
        for each in devices
    ]
    return _JSON.encode(Devices(success=True, total=len(rows), data=rows))


def write_device(device: Registered, zone: ZoneInfo) -> bytes:
    """Write one device."""
    data = Device(
        device.device_id,
        name_of(device),
        device.host,
        device.port,
        _seconds(device.timeout_s),
        wall_text(device.created_at, zone),
        _moment(device.updated_at, zone),
    )
    return _JSON.encode(DeviceFound(success=True, data=data))


def write_registered(device: Registered, zone: ZoneInfo, *, password: int | None) -> bytes:
    """Write a device that is new; `password` is the one that was sent, if one was."""
    message = f"Dispositivo '{device.device_id}' registrado."
    data = _saved(device, zone, password)
    return _JSON.encode(DeviceSaved(success=True, message=message, data=data))


def write_changed(
    device: Registered, zone: ZoneInfo, *, password: int | None, left_address: str | None
) -> bytes:
    """Write a device as it is now; at `left_address` it may be disabled and is called no more."""
    message = f"Dispositivo '{device.device_id}' actualizado.{_left(left_address)}"
    data = _saved(device, zone, password)
    data.updated_at = _moment(device.updated_at, zone)
    return _JSON.encode(DeviceSaved(success=True, message=message, data=data))


def write_removed(device: Registered, left_address: str | None) -> bytes:
    """Write that a device is gone; `left_address` as above."""
    return write_done(f"Dispositivo '{device.device_id}' eliminado.{_left(left_address)}")


def write_ping(device: Registered, time: datetime | None) -> bytes:
    """Write that a terminal answered."""
    message = f"Conexion exitosa con '{device.device_id}'."
    return _JSON.encode(
        Ping(success=True, message=message, device_time=_wall(time), ip=device.host)
    )


def write_state(device: Registered, state: State, zone: ZoneInfo) -> bytes:
    """Write what was last heard of a device. No command waits for one as long as none is queued."""
    data = StateOf(
        device.device_id,
        state.is_online,
        _moment(state.last_seen_at, zone),
        state.last_error,
        state.clock_skew_s,
        state.records,
        queue=0,
    )
    return _JSON.encode(StateFound(success=True, data=data))


def write_info(device: Registered, info: Info) -> bytes:
    """Write what a terminal says of itself."""
    data = About(
        device.device_id,
        name_of(device),
        device.host,
        info.serial,
        info.name,
        info.platform,
        info.firmware,
        info.users,
        _wall(info.time),
    )
    return _JSON.encode(InfoRead(success=True, data=data))


def write_time(device: Registered, time: datetime | None) -> bytes:
    """Write what a terminal's clock shows."""
    return _JSON.encode(Time(success=True, device_id=device.device_id, device_time=_wall(time)))


def write_users(device: Registered, found: Sequence[TerminalUser]) -> bytes:
    """Write who is on a terminal."""
    rows = [
        User(each.uid, each.user_code, each.name, each.privilege, each.card, device.device_id)
        for each in found
    ]
    return _JSON.encode(Users(success=True, total=len(rows), data=rows))


def write_new_user(device: Registered, user: TerminalUser) -> bytes:
    """Write who was put on a terminal."""
    data = NewUser(user.user_code, user.name, device.device_id)
    return _JSON.encode(UserSaved(success=True, message="Usuario registrado.", data=data))


def write_enrolling(device: Registered, user_code: str, finger: int) -> bytes:
    """Write that a terminal waits for a finger."""
    return _JSON.encode(
        Enrolling(
            success=True,
            message="Modo enrolamiento activado. El usuario debe poner el dedo 3 veces.",
            data=Finger(user_code, device.device_id, finger, FINGERS[finger]),
        )
    )


def write_root(now_ms: int, zone: ZoneInfo, devices: Sequence[Registered] | None) -> bytes:
    """Write that we are here; `devices` for whoever may know of them."""
    answer = Root("online", wall_text(now_ms, zone))
    if devices is not None:
        answer.total_dispositivos = len(devices)
        answer.dispositivos = {
            each.device_id: Place(each.host or "", name_of(each)) for each in devices
        }
    return _JSON.encode(answer)


def shown(text: str, most: int = _SHOWN) -> str:
    """Give a text of somebody else's as an answer may repeat it."""
    return _CONTROL.sub("", text)[:most]


def wall_text(at_ms: int, zone: ZoneInfo) -> str:
    """Write an instant as the wall time of a zone."""
    return str(localtime.wall_at(at_ms // 1000, zone)[0])


def name_of(device: Registered) -> str:
    """Give what a device is called: its name, else its id."""
    return device.name or device.device_id


def _text(text: str) -> str:
    return _JSON.encode(text).decode()


def _saved(device: Registered, zone: ZoneInfo, password: int | None) -> Saved:
    if password is None and not device.has_comm_key:
        password = 0
    return Saved(
        device.host,
        device.port,
        password,
        _seconds(device.timeout_s),
        name_of(device),
        wall_text(device.created_at, zone),
    )


def _left(left_address: str | None) -> str:
    """Tell what somebody has to do at a terminal that went while nobody could punch at it."""
    if left_address is None:
        return ""
    return f" No respondio en {left_address} y puede seguir deshabilitado; reinicielo."


def _moment(at_ms: int | None, zone: ZoneInfo) -> str | None:
    return None if at_ms is None else wall_text(at_ms, zone)


def _wall(time: datetime | None) -> str | None:
    return None if time is None else f"{time:%Y-%m-%d %H:%M:%S}"


def _seconds(seconds: float | None) -> int | float | None:
    """Give whole seconds as they were most likely sent."""
    return int(seconds) if seconds is not None and seconds == int(seconds) else seconds
