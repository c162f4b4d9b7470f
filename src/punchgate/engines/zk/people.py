"""Who is on a terminal: read, added, changed, taken off; and the wait for a finger.

A row is read before it is written and only what was asked is different. Passwords go in and never
come out.
"""

from contextlib import suppress
from dataclasses import replace

from punchgate.domain.error import AlreadyExists, Invalid, NotFound
from punchgate.engines.zk import fetch
from punchgate.engines.zk.visit import Visit
from punchgate.protocols.zk import dialogue, users
from punchgate.protocols.zk.dialogue import EnrolForm, Refused
from punchgate.protocols.zk.users import User
from punchgate.usecases import terminal_contact as contact
from punchgate.usecases.terminals import TerminalUser, UserChange

_PIN_WIDTH = "~PIN2Width"
_DISABLED = 1


async def read(visit: Visit) -> list[TerminalUser]:
    """Give who is on the terminal, in its order; finger slots are nobody."""
    people = [each for each in await fetch.read_users(visit) if each.is_person]
    if visit.known.users != len(people):
        visit.known = replace(visit.known, users=len(people))
        await contact.know(visit.tools.context, visit.whose, visit.known)
    return [_shown(each) for each in people]


async def add(visit: Visit, user_code: str, change: UserChange) -> TerminalUser:
    """Put somebody new on the terminal."""
    people = await fetch.read_users(visit)
    if _find(people, user_code) is not None:
        raise AlreadyExists(f"The user {user_code!r} is on the terminal already.")
    return await _put(visit, people, user_code, change)


async def set_user(visit: Visit, user_code: str, change: UserChange) -> TerminalUser:
    """Change somebody."""
    people = await fetch.read_users(visit)
    _get(people, user_code)
    return await _put(visit, people, user_code, change)


async def remove(visit: Visit, user_code: str) -> None:
    """Take somebody off, with everything that the terminal knows of them."""
    user = _get(await fetch.read_users(visit), user_code)
    await visit.call.run(dialogue.delete_user(user.uid))


async def enrol_finger(visit: Visit, user_code: str, finger: int) -> None:
    """Have the terminal ask for a finger; one that it has of the same number goes first."""
    user = _get(await fetch.read_users(visit), user_code)
    # Refused is that there was none, which is how it should be.
    with suppress(Refused):
        await visit.call.run(dialogue.delete_template(user.uid, finger))
    form: EnrolForm = "number" if len(user.row) == users.USER_28.size else "text"
    await visit.call.run(dialogue.enrol(user_code, finger, form=form))


async def _put(
    visit: Visit, people: list[User], user_code: str, change: UserChange
) -> TerminalUser:
    before = _find(people, user_code)
    asked = users.UserChange(
        name=change.name,
        permission=_permission(change.privilege, before),
        card=change.card,
        password=change.password,
    )
    encoding = visit.terminal.settings.encoding
    options = await visit.call.run(dialogue.read_options([_PIN_WIDTH]))
    said = options.get(_PIN_WIDTH, "")
    width = int(said) if said.isascii() and said.isdigit() and int(said) else users.USER_72.size
    try:
        uid = await visit.call.run(
            dialogue.put_user(people, user_code, asked, encoding=encoding, pin_width=width)
        )
    except ValueError as error:
        raise Invalid(str(error)) from error
    row = before.row if before is not None else _blank(people, uid, user_code)
    return _shown(users.read(users.changed(row, asked, encoding=encoding), encoding=encoding))


def _blank(people: list[User], uid: int, user_code: str) -> bytes:
    persons = [each for each in people if each.is_person]
    width = len(persons[0].row) if persons else users.USER_72.size
    return users.new(uid, user_code, width=width)


def _permission(privilege: int | None, before: User | None) -> int | None:
    """Give the permission byte for a privilege; whether somebody is turned away stays as it is."""
    if privilege is None:
        return None
    return privilege | (0 if before is None else before.permission & _DISABLED)


def _find(people: list[User], user_code: str) -> User | None:
    codes = users.codes(people)
    return next((each for each in people if codes.get(each.uid) == user_code), None)


def _get(people: list[User], user_code: str) -> User:
    found = _find(people, user_code)
    if found is None:
        raise NotFound(f"The user {user_code!r} is not on the terminal.")
    return found


def _shown(user: User) -> TerminalUser:
    code = users.codes([user]).get(user.uid, "")
    return TerminalUser(user.uid, code, user.name, user.permission & ~_DISABLED, user.card)
