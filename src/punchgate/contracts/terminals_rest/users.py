"""Who is on a terminal: list, add, change, remove, and the start of an enrolment.

Passwords go in and never come out; templates are not touched.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from punchgate.contracts.terminals_rest import errors, fields, writing
from punchgate.contracts.terminals_rest.call import Call
from punchgate.contracts.terminals_rest.errors import Dialect, Refused
from punchgate.contracts.terminals_rest.fields import Fields
from punchgate.domain.error import AlreadyExists, Invalid, NotFound
from punchgate.domain.ids import UserCode
from punchgate.httpkit.answers import Answer
from punchgate.reports.terminals import Registered
from punchgate.usecases import terminal_orders, terminal_people
from punchgate.usecases.terminals import UserChange


async def list_users(call: Call) -> Answer:
    """List who is on a terminal, as it says now or as it said last."""
    device = await call.terminal()
    place = call.place(device)
    if not fields.is_live(call.query):
        return Answer(
            200, writing.write_users(device, await terminal_people.last(call.context, place))
        )
    with errors.telling(device, "users"):
        found = await terminal_people.read(call.context, place)
    return Answer(200, writing.write_users(device, found))


async def add(call: Call) -> Answer:
    """Put somebody new on a terminal."""
    device = await call.terminal()
    sent = call.read_body()
    _check_scope(call, sent)
    code, wanted = fields.read_new_user(sent)
    try:
        with errors.telling(device, "users"):
            user = await terminal_people.add(
                call.context,
                call.place(device),
                code,
                wanted,
                actor=call.visitor.actor,
                now=call.edge.now(),
            )
    except AlreadyExists:
        raise Refused(errors.user_exists(code)) from None
    except Invalid:
        raise Refused(_unholdable(code, wanted)) from None
    return Answer(200, writing.write_new_user(device, user))


async def change(call: Call) -> Answer:
    """Change somebody on a terminal; what is not named stays."""
    device = await call.terminal()
    sent, code = call.read_body(), UserCode(call.names[1])
    _check_scope(call, sent)
    wanted = fields.read_user(sent)
    try:
        with _telling(device, code, "users"):
            await terminal_people.set_user(
                call.context,
                call.place(device),
                code,
                wanted,
                actor=call.visitor.actor,
                now=call.edge.now(),
            )
    except Invalid:
        # The code is on the terminal already; of the rest only a password can be too long for it.
        raise Refused(errors.invalid(fields.UNFIT_SECRET)) from None
    return Answer(200, writing.write_done(f"Usuario '{code}' actualizado."))


async def remove(call: Call) -> Answer:
    """Take somebody off a terminal; the person stays here."""
    device, code = await call.terminal(), UserCode(call.names[1])
    with _telling(device, code, "users"):
        await terminal_people.remove(
            call.context,
            call.place(device),
            code,
            actor=call.visitor.actor,
            now=call.edge.now(),
        )
    return Answer(200, writing.write_done(f"Usuario '{code}' eliminado."))


async def enrol_finger(call: Call) -> Answer:
    """Have a terminal ask for a finger; answered when it does, not when it has it."""
    device, code = await call.terminal(), UserCode(call.names[1])
    finger = fields.read_finger(call.read_body())
    with _telling(device, code, "plain"):
        await terminal_orders.enrol_finger(
            call.context,
            call.place(device),
            code,
            finger,
            actor=call.visitor.actor,
            now=call.edge.now(),
        )
    return Answer(200, writing.write_enrolling(device, code, finger))


@contextmanager
def _telling(device: Registered, code: UserCode, dialect: Dialect) -> Iterator[None]:
    """Refuse with what went wrong, or because nobody on the terminal has this code."""
    with errors.telling(device, dialect):
        try:
            yield
        except NotFound:
            raise Refused(errors.no_user(code)) from None


def _check_scope(call: Call, sent: Fields) -> None:
    """Refuse to set a password or a card for whoever may only name people."""
    if fields.names_credential(sent) and not call.visitor.allows("credentials:write"):
        raise Refused(errors.NO_SCOPE)


def _unholdable(code: UserCode, wanted: UserChange) -> Answer:
    """Say what a terminal with small rows cannot hold: a code that is no number, or a password."""
    is_number = code.isdigit() and int(code) <= fields.LARGEST and code == str(int(code))
    is_long = len(wanted.password or "") > fields.SHORT_PASSWORD
    return errors.invalid(fields.UNFIT_SECRET if is_number and is_long else fields.UNFIT_CODE)
