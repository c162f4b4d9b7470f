"""Every refusal of the terminals' surface: status and text, as published.

The table is total: whatever goes wrong behind this contract ends in one of these
(docs/contracts/terminals-rest.md). Texts are in Spanish without accents, because clients compare
them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Literal, get_args

from punchgate.contracts.terminals_rest import writing
from punchgate.contracts.terminals_rest.shapes import PERSON
from punchgate.domain.error import PunchgateError
from punchgate.domain.ids import DeviceId
from punchgate.httpkit.answers import Answer, Headers
from punchgate.reports.terminals import Registered
from punchgate.usecases.terminals import Cause, TerminalTrouble

#: Connection errors are said in three dialects.
Dialect = Literal["plain", "users", "ping"]

_CLOSE: Final = (b"connection", b"close")
_LATER: Final = (b"retry-after", b"5")
#: Of what a terminal or a library said; more is no reason any more.
_REASON_LENGTH: Final = 100


class Refused(Exception):
    """A request that ends in a refusal, from wherever in the contract it is found."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def refusal(status: int, text: str, headers: Headers = ()) -> Answer:
    """Write the one form that every error of this contract has."""
    return Answer(status, writing.write_failure(text), headers)


NO_BODY: Final = refusal(400, "Body JSON requerido.")
NO_KEY: Final = refusal(401, "No autorizado.", ((b"www-authenticate", b"X-API-Key"),))
NO_SCOPE: Final = refusal(403, "Permiso insuficiente.")
NO_ROUTE: Final = refusal(404, "Ruta no encontrada.")
TOO_SLOW: Final = refusal(408, "La solicitud tardo demasiado.", (_CLOSE,))
TOO_LARGE: Final = refusal(413, "Cuerpo demasiado grande.", (_CLOSE,))
_INTERNAL: Final = "Error interno."
INTERNAL: Final = refusal(500, _INTERNAL)
UNSUPPORTED: Final = refusal(501, "Operacion no soportada por este dispositivo.")
NO_STORE: Final = refusal(503, "Almacenamiento no disponible.", (_LATER,))

_CAUSES: Final[tuple[Cause, ...]] = get_args(Cause)
_BY_CAUSE: Final = {
    "timeout": "Connection timeout",
    "refused": "[Errno 111] Connection refused",
    "unreachable": "[Errno 113] No route to host",
    "wrong_key": "Invalid password",
    "reset": "[Errno 104] Connection reset by peer",
    "busy": "Dispositivo ocupado.",
    "not_allowed": "Direccion no permitida.",
    "inactive": "Suscripcion inactiva.",
}


def invalid(text: str) -> Answer:
    """Refuse a field or a parameter; the sentence is one of the table's."""
    return refusal(400, text)


def not_allowed(methods: str) -> Answer:
    """Refuse a method; those that are allowed go into the header."""
    return refusal(405, "Metodo no permitido.", ((b"allow", methods.encode()),))


def no_device(name: str, known: list[DeviceId]) -> Answer:
    """Refuse a device that is not there, or that the caller may not see: the two look alike."""
    return Answer(404, writing.write_no_device(name, known))


def no_user(user_code: str) -> Answer:
    """Refuse somebody who is not on the terminal."""
    return refusal(404, f"Usuario '{writing.shown(user_code)}' no encontrado.")


def user_exists(user_code: str) -> Answer:
    """Refuse to add somebody who is on the terminal already."""
    return refusal(409, f"{PERSON} '{user_code}' ya existe.")


def device_exists(device_id: str) -> Answer:
    """Refuse a second device of an id."""
    return refusal(409, f"Dispositivo '{device_id}' ya existe.")


def serial_exists(serial: str) -> Answer:
    """Refuse a second device of a serial number."""
    return refusal(409, f"serial '{serial}' ya existe.")


def rate_limited(wait_s: int) -> Answer:
    """Refuse a request beyond the limit."""
    return refusal(429, "Demasiadas solicitudes.", ((b"retry-after", str(wait_s).encode()),))


def trouble(error: TerminalTrouble, device: Registered, dialect: Dialect = "plain") -> str:
    """Say what went wrong with a terminal as the published server does."""
    if error.cause == "timeout" and dialect == "ping":
        return "timeout: timed out"
    if error.cause == "timeout" and dialect == "users":
        return f"Connection timeout to device {device.host}:{device.port}"
    known = _BY_CAUSE.get(error.cause)
    if known is not None:
        return known
    reason = error.detail.removeprefix(f"{device.host}:{device.port}: ")
    return f"Protocol error: {writing.shown(reason, _REASON_LENGTH)}"


def told(error: Exception, device: Registered) -> str:
    """Say what went wrong with one terminal of many; what nobody foresaw is a fault of ours."""
    return trouble(error, device) if isinstance(error, TerminalTrouble) else _INTERNAL


def last_trouble(text: str, device: Registered) -> str:
    """Say what went wrong last time, as it is kept: its cause, and a sentence."""
    known, _, detail = text.partition(": ")
    cause: Cause = next((each for each in _CAUSES if each == known), "protocol")
    return trouble(TerminalTrouble(cause, detail), device)


def unreachable(error: TerminalTrouble, device: Registered, dialect: Dialect = "plain") -> Answer:
    """Answer that a conversation failed."""
    if dialect == "ping":
        return Answer(503, writing.write_no_ping(trouble(error, device, dialect), device))
    return refusal(500, trouble(error, device, dialect))


@contextmanager
def telling(device: Registered, dialect: Dialect = "plain") -> Iterator[None]:
    """Refuse with what went wrong in a conversation with a terminal.

    Errors:  Refused.
    """
    try:
        yield
    except TerminalTrouble as error:
        raise Refused(unreachable(error, device, dialect)) from None


def of(error: PunchgateError) -> Answer | None:
    """Give the refusal of an inner error; None for one that this contract does not expect.

    A vault that cannot seal or open a comm key is a store that cannot keep or give it.
    """
    is_store = error.slug.startswith("store.") or error.slug == "secrets.closed"
    return NO_STORE if is_store else None
