"""People: add, get, list, set, and erase. Whoever punches is a person from the first punch on.

The audit of a person holds the number and which fields changed, never a name, a code or an id of
theirs: what erasing must take away may not stand where nothing is ever taken away.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from punchgate.domain.error import AlreadyExists, Invalid, NotFound
from punchgate.domain.ids import AccountNo, PersonNo, QuarantineId, UserCode
from punchgate.domain.person import Person, is_user_code
from punchgate.domain.terminal import Hints
from punchgate.store import accounts, endpoints, erasure, people, replays, terminals
from punchgate.store.database import Connection
from punchgate.store.erasure import Held
from punchgate.usecases import audit
from punchgate.usecases.audit import Entry
from punchgate.usecases.context import Context

__all__ = [
    "Changes",
    "Traces",
    "add",
    "add_within",
    "count_traces",
    "erase",
    "get",
    "list_people",
    "set_person",
]

#: People of one page.
MOST: Final = 1_000
_NAME_LENGTH: Final = 200
_CUSTOM_ID_LENGTH: Final = 64
_TYPE_LENGTH: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What to set on a person. None leaves a value as it is, an empty text takes it away."""

    name: str | None = None
    custom_id: str | None = None
    type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Traces:
    """How much there is of a person, and so what erasing takes away."""

    person: Person
    #: Deleted.
    punches: int
    quarantined: int
    workdays: int
    #: Blanked: their place in the log stays.
    events: int
    #: Endpoints and replays that name the person; they stay and name nobody.
    filters: int

    @property
    def is_nothing(self) -> bool:
        """Say whether there is nothing to erase."""
        named = (self.person.name, self.person.custom_id, self.person.type)
        counted = (self.punches, self.quarantined, self.workdays, self.events, self.filters)
        return not any((*named, *counted))


async def add(
    context: Context,
    account: AccountNo,
    code: str,
    changes: Changes = Changes(),
    *,
    actor: str,
    now: int,
) -> Person:
    """Add a person. A code that has punched already and that nobody has named yet gets the name.

    Errors:  Invalid for a value that will not do; AlreadyExists when the code or the own id is
    taken.
    """
    return await context.writer.run(
        lambda tx: add_within(tx, account, code, changes, actor=actor, now=now)
    )


async def get(context: Context, account: AccountNo, code: UserCode) -> Person:
    """Give a person by the user code; NotFound else."""
    return await context.database.read(lambda tx: _get(tx, account, code))


async def list_people(
    context: Context, account: AccountNo, *, after: int = 0, limit: int = MOST
) -> Sequence[Person]:
    """List people by number, at most a page; the next page comes `after` the last number."""
    return await context.database.read(
        lambda tx: people.list_people(tx, account, after=PersonNo(after), limit=min(limit, MOST))
    )


async def set_person(
    context: Context,
    account: AccountNo,
    code: UserCode,
    changes: Changes,
    *,
    actor: str,
    now: int,
) -> Person:
    """Change a person's name, own id or type.

    Errors:     Invalid, NotFound; AlreadyExists when the own id is somebody else's.
    Repeating:  what is so already is not changed, and leaves no audit entry.
    """

    def work(tx: Connection) -> Person:
        before = _get(tx, account, code)
        after = _changed(tx, before, changes)
        if after == before:
            return before
        people.put(tx, account, after)
        entry = Entry(now, actor, "person.set", _subject(after), _facts(before), _facts(after))
        audit.note(tx, account, entry)
        return after

    return await context.writer.run(work)


async def count_traces(context: Context, account: AccountNo, code: UserCode) -> Traces:
    """Say what erasing a person would take away, and take away nothing. NotFound else."""
    return await context.database.read(lambda tx: _traces(context, tx, account, code)[0])


async def erase(
    context: Context, account: AccountNo, code: UserCode, *, actor: str, now: int
) -> Traces:
    """Erase a person: punches, quarantined items, workdays and names go, events are blanked.

    Filters and replays that name the person name nobody in that place, and want no one more.
    The number and the bare code stay, so that the number is nobody else's ever and a terminal that
    still knows the code goes on meaning the same person. All in one transaction.

    Errors:     NotFound.
    Repeating:  a second time changes nothing and leaves no audit entry.
    """

    def work(tx: Connection) -> Traces:
        erasure.hold(tx, account, code)
        traces, held = _traces(context, tx, account, code)
        if traces.is_nothing:
            return traces
        person = traces.person
        erasure.erase(tx, account, person)
        erasure.erase_held(tx, account, held)
        endpoints.forget(tx, account, _named(person))
        replays.forget(tx, account, _named(person))
        people.put(tx, account, Person(account, person.no, person.code))
        counted = {
            "punches": traces.punches,
            "quarantined": traces.quarantined,
            "workdays": traces.workdays,
            "events": traces.events,
            "filters": traces.filters,
        }
        audit.note(tx, account, Entry(now, actor, "person.erase", _subject(person), counted))
        return traces

    return await context.writer.run(work)


def add_within(
    tx: Connection, account: AccountNo, code: str, changes: Changes, *, actor: str, now: int
) -> Person:
    """Add a person as `add`, in a transaction in which more is done; nothing is written in vain."""
    if not is_user_code(code):
        raise Invalid(
            "A user code has 1 to 64 characters, none of them a control character,"
            " and no blanks around it."
        )
    known = people.find(tx, account, UserCode(code))
    if known is not None and (known.name or known.custom_id or known.type):
        raise AlreadyExists(
            f"The user code {code!r} belongs to person {known.no} already."
            " Use `person set` to change them."
        )
    blank = Person(account, PersonNo(0) if known is None else known.no, UserCode(code))
    person = _changed(tx, blank, changes)
    if known is None:
        person = replace(person, no=accounts.take_person_no(tx, account))
        people.add(tx, account, person, now)
    else:
        people.put(tx, account, person)
    entry = Entry(now, actor, "person.add", _subject(person), after=_facts(person))
    audit.note(tx, account, entry)
    return person


def _get(tx: Connection, account: AccountNo, code: UserCode) -> Person:
    person = people.find(tx, account, code)
    if person is None:
        raise NotFound(f"There is no person with the user code {code!r}.")
    return person


def _changed(tx: Connection, person: Person, changes: Changes) -> Person:
    name = _text("name", changes.name, _NAME_LENGTH)
    custom_id = _text("custom id", changes.custom_id, _CUSTOM_ID_LENGTH)
    kind = _text("type", changes.type, _TYPE_LENGTH)
    if custom_id:
        other = people.find_custom_id(tx, person.account, custom_id)
        if other is not None and other.no != person.no:
            raise AlreadyExists(f"The custom id {custom_id!r} belongs to person {other.no}.")
    return replace(
        person,
        name=person.name if name is None else name or None,
        custom_id=person.custom_id if custom_id is None else custom_id or None,
        type=person.type if kind is None else kind or None,
    )


def _text(what: str, given: str | None, length: int) -> str | None:
    if given is None:
        return None
    text = given.strip()
    if len(text) > length or (text and not text.isprintable()):
        raise Invalid(f"A {what} has at most {length} printable characters.")
    return text


def _traces(
    context: Context, tx: Connection, account: AccountNo, code: UserCode
) -> tuple[Traces, list[QuarantineId]]:
    person = _get(tx, account, code)
    hints = functools.cache(lambda device_id: terminals.hints(tx, account, device_id))
    held = [
        item.id
        for item in erasure.held(tx, account)
        if _speaks_of(context, code, item, hints(item.device_id))
    ]
    counted = erasure.count(tx, account, person)
    traces = Traces(
        person=person,
        punches=counted.punches,
        quarantined=len(held),
        workdays=counted.workdays,
        events=counted.events,
        filters=len(endpoints.naming(tx, account, _named(person)))
        + len(replays.naming(tx, account, _named(person))),
    )
    return traces, held


def _named(person: Person) -> dict[str, str]:
    """Give what names a person, by the field of an event that says it."""
    fields = {
        "person.code": person.code,
        "person.custom_id": person.custom_id,
        "person.name": person.name,
    }
    return {field: text for field, text in fields.items() if text}


def _speaks_of(context: Context, code: UserCode, item: Held, hints: Hints) -> bool:
    reader = context.readers.get(item.transport)
    reading = None if reader is None else reader.read(item.raw, hints)
    return reading is not None and reading.user_code == code


def _subject(person: Person) -> str:
    return f"person:{person.no}"


def _facts(person: Person) -> dict[str, Any]:
    return {
        "has_name": person.name is not None,
        "has_custom_id": person.custom_id is not None,
        "has_type": person.type is not None,
    }
