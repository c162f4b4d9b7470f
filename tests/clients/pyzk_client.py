"""pyzk, in a process of its own: it reads a terminal and prints what it got as JSON.

Run by `tests/clients/run.py`; imports nothing of ours. pyzk stands under the GPL and nothing but
this program uses it.
"""

import argparse
import json
import sys
from typing import Any

from zk import ZK  # type: ignore[import-untyped]  # it has none


def _users(connection: Any) -> list[dict[str, Any]]:
    return [
        {
            "uid": user.uid,
            "user_id": user.user_id,
            "name": user.name,
            "privilege": user.privilege,
            "card": user.card,
        }
        for user in connection.get_users()
    ]


def _attendance(connection: Any) -> list[list[Any]]:
    return [
        [row.user_id, row.timestamp.isoformat(" "), row.status, row.punch]
        for row in connection.get_attendance()
    ]


def _sizes(connection: Any) -> dict[str, int]:
    connection.read_sizes()
    return {"users": connection.users, "records": connection.records, "fingers": connection.fingers}


def _clock(connection: Any) -> str:
    return str(connection.get_time().isoformat(" "))


def _about(connection: Any) -> dict[str, Any]:
    return {
        "firmware": connection.get_firmware_version(),
        "serial": connection.get_serialnumber(),
        "platform": connection.get_platform(),
        "name": connection.get_device_name(),
        "mac": connection.get_mac(),
    }


def _set_user(connection: Any) -> bool:
    connection.set_user(uid=77, name="New person", privilege=0, user_id="7777", card=12345)
    return True


def _delete_user(connection: Any) -> bool:
    connection.delete_user(uid=1)
    return True


def _clear(connection: Any) -> bool:
    connection.clear_attendance()
    return True


def _unlock(connection: Any) -> bool:
    return bool(connection.unlock(time=3))


def _disable(connection: Any) -> bool:
    return bool(connection.disable_device())


def _enable(connection: Any) -> bool:
    return bool(connection.enable_device())


def _restart(connection: Any) -> bool:
    return bool(connection.restart())


def _templates(connection: Any) -> list[list[Any]]:
    return [[one.uid, one.fid, one.valid, one.size] for one in connection.get_templates()]


def _enrol(connection: Any) -> bool:
    return bool(connection.enroll_user(uid=1, temp_id=3, user_id="1001"))


def _live(connection: Any) -> list[list[Any]]:
    # Each row is told as it comes, and null where none came for a second: then it listens.
    heard: list[list[Any]] = []
    for row in connection.live_capture(new_timeout=1):
        if row is None:
            _tell({"heard": None})
            continue
        heard.append([row.user_id, row.timestamp.isoformat(" "), row.status, row.punch])
        _tell({"heard": heard[-1]})
        connection.end_live_capture = len(heard) == 2
    return heard


def _tell(words: dict[str, Any]) -> None:
    # On a line of its own: pyzk prints for people too.
    sys.stdout.write("\n" + json.dumps(words) + "\n")
    sys.stdout.flush()


_TASKS = {
    "users": _users,
    "attendance": _attendance,
    "sizes": _sizes,
    "clock": _clock,
    "about": _about,
    "set_user": _set_user,
    "delete_user": _delete_user,
    "clear": _clear,
    "unlock": _unlock,
    "disable": _disable,
    "enable": _enable,
    "restart": _restart,
    "templates": _templates,
    "enrol": _enrol,
    "live": _live,
}


def main() -> int:
    """Connect, do each task, print one JSON object; an error is told and ends it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("tasks", nargs="+", choices=_TASKS)
    parser.add_argument("--key", type=int, default=0)
    parser.add_argument("--udp", action="store_true")
    parser.add_argument("--timeout", type=int, default=60)
    asked = parser.parse_args()
    device = ZK(
        "127.0.0.1",
        port=asked.port,
        timeout=asked.timeout,
        password=asked.key,
        force_udp=asked.udp,
        ommit_ping=True,
    )
    told: dict[str, Any] = {}
    try:
        connection = device.connect()
        for task in asked.tasks:
            told[task] = _TASKS[task](connection)
        connection.disconnect()
    except Exception as error:  # noqa: BLE001 (what goes wrong is part of what is told)
        told["error"] = f"{type(error).__name__}: {error}"
    _tell(told)
    return 0


if __name__ == "__main__":
    sys.exit(main())
