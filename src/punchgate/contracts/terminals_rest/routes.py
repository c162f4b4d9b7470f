"""The operations of the terminals' surface, and the one way in: who, how often, what, may they.

A request is counted before anything else, so that guessing keys costs the same as anything. What an
operation does is in the module of its noun.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, NamedTuple
from uuid import uuid4

from punchgate import telemetry
from punchgate.contracts.terminals_rest import attendance, auth, devices, errors, terminal, users
from punchgate.contracts.terminals_rest.auth import Networks, Visitor
from punchgate.contracts.terminals_rest.call import Call
from punchgate.contracts.terminals_rest.errors import Refused
from punchgate.contracts.terminals_rest.fields import Unfit
from punchgate.contracts.terminals_rest.settings import Settings
from punchgate.domain.error import NotFound, PunchgateError
from punchgate.domain.key import Scope as KeyScope
from punchgate.httpkit import answers, body, query, source
from punchgate.httpkit.answers import Answer, Headers
from punchgate.httpkit.bucket import Buckets, Policy
from punchgate.httpkit.edge import Edge, Receive, Scope, Send

BODY_MAX_BYTES: Final = 64 * 1024
_WINDOW_S: Final = 60
#: Stands for the name of a device or a person in a path.
_NAME: Final = "*"


class Operation(NamedTuple):
    """What is done, and what a caller must be allowed for it."""

    scope: KeyScope
    run: Callable[[Call], Awaitable[Answer]]
    has_body: bool = False


#: Path below the root, then method.
OPERATIONS: Final[Mapping[str, Mapping[str, Operation]]] = {
    "attendance/all": {"GET": Operation("punches:read", attendance.of_all)},
    "devices": {
        "GET": Operation("devices:read", devices.list_devices),
        "POST": Operation("devices:write", devices.add, has_body=True),
    },
    "devices/*": {
        "GET": Operation("devices:read", devices.get),
        "PUT": Operation("devices:write", devices.change, has_body=True),
        "DELETE": Operation("devices:write", devices.remove),
    },
    "devices/*/attendance": {"GET": Operation("punches:read", attendance.of_one)},
    "devices/*/status": {"GET": Operation("devices:read", devices.state)},
    "devices/*/ping": {"GET": Operation("devices:read", terminal.ping)},
    "devices/*/info": {"GET": Operation("devices:read", terminal.info)},
    "devices/*/time": {"GET": Operation("devices:read", terminal.time)},
    "devices/*/sync-time": {"POST": Operation("devices:command", terminal.synchronize)},
    "devices/*/users": {
        "GET": Operation("people:read", users.list_users),
        "POST": Operation("people:write", users.add, has_body=True),
    },
    "devices/*/users/*": {
        "PUT": Operation("people:write", users.change, has_body=True),
        "DELETE": Operation("people:write", users.remove),
    },
    "devices/*/users/*/enroll-finger": {
        "POST": Operation("devices:command", users.enrol_finger, has_body=True)
    },
}


class Terminals:
    """The ASGI app of the terminals' surface; each process counts its limit for itself."""

    def __init__(self, edge: Edge, settings: Settings) -> None:
        self._edge = edge
        self._settings = settings
        self._networks = Networks(
            source.networks(settings.open_networks), source.networks(settings.trusted_proxies)
        )
        quota = settings.rate_requests
        self._buckets = Buckets(Policy("terminals", quota, _WINDOW_S)) if quota else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        started = self._edge.monotonic()
        try:
            answer = await self._answer(scope, receive)
        except body.Gone:
            return
        await answers.write(answer, scope, send)
        telemetry.requested("terminals_rest", answer.status, self._edge.monotonic() - started)

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        """Say who it is and count the request, then answer it, with what is left of the limit."""
        try:
            visitor = await auth.identify(self._edge, scope, self._networks)
        except Exception as error:  # noqa: BLE001 (the edge; nobody is known whose limit it is)
            return _refuse(error)
        counted_as, moment = visitor.counted_as, self._edge.monotonic()
        is_admitted = self._buckets is None or self._buckets.take(counted_as, moment)
        try:
            answer = await self._answer_visitor(visitor, scope, receive, is_admitted=is_admitted)
        except body.Gone:
            raise
        except Exception as error:  # noqa: BLE001 (the edge: one envelope for what nobody foresaw)
            answer = _refuse(error)
        return answer._replace(headers=answer.headers + self._limit_headers(counted_as))

    async def _answer_visitor(
        self, visitor: Visitor, scope: Scope, receive: Receive, *, is_admitted: bool
    ) -> Answer:
        path: str = scope["path"]
        if path == "/":
            _operation({"GET": _ROOT}, scope["method"])
            # Whoever asks too often is told that we are here, and nothing is looked up for it.
            call = self._call(visitor if is_admitted else Visitor(""), (), scope, b"", receive)
            return await devices.root(call)
        if self._buckets is not None and not is_admitted:
            wait_s = self._buckets.wait_s(visitor.counted_as, self._edge.monotonic())
            return errors.rate_limited(wait_s)
        operations, names = _find(path)
        operation = _operation(operations, scope["method"])
        if not visitor.is_known:
            return errors.NO_KEY
        if not visitor.allows(operation.scope):
            return errors.NO_SCOPE
        content = await self._read(operation, scope, receive)
        call = self._call(visitor, names, scope, content, receive)
        try:
            return await operation.run(call)
        except NotFound:
            # The device was removed since it was found.
            return (await call.absent(names[0])).answer

    async def _read(self, operation: Operation, scope: Scope, receive: Receive) -> bytes:
        monotonic = self._edge.monotonic
        if operation.has_body:
            return await body.read(receive, cap=BODY_MAX_BYTES, monotonic=monotonic)
        await body.drop(scope, receive, cap=BODY_MAX_BYTES, monotonic=monotonic)
        return b""

    def _call(
        self,
        visitor: Visitor,
        names: tuple[str, ...],
        scope: Scope,
        content: bytes,
        receive: Receive,
    ) -> Call:
        return Call(self._edge, self._settings, visitor, names, query.read(scope), content, receive)

    def _limit_headers(self, counted_as: str) -> Headers:
        if self._buckets is None:
            return ()
        left = self._buckets.describe(counted_as, self._edge.monotonic())
        return (
            (b"ratelimit-policy", self._buckets.policy.describe().encode()),
            (b"ratelimit", left.encode()),
        )


_ROOT: Final = Operation("devices:read", devices.root)


def _find(path: str) -> tuple[Mapping[str, Operation], tuple[str, ...]]:
    """Give the operations of a path and the names in it; one trailing slash is as good as none.

    Errors:  Refused.
    """
    steps = path[1:].removesuffix("/").split("/")
    # Every second step below `devices` is a name.
    is_named = steps[0] == "devices"
    pattern = "/".join(
        _NAME if is_named and number % 2 else step for number, step in enumerate(steps)
    )
    found = OPERATIONS.get(pattern)
    if found is None or "" in steps:
        raise Refused(errors.NO_ROUTE)
    return found, tuple(steps[1::2]) if is_named else ()


def _operation(operations: Mapping[str, Operation], method: str) -> Operation:
    found = operations.get("GET" if method == "HEAD" else method)
    if found is None:
        names = list(operations)
        if "GET" in operations:
            names.insert(1, "HEAD")
        raise Refused(errors.not_allowed(", ".join(names)))
    return found


def _refuse(error: Exception) -> Answer:
    """Give the answer to anything that went wrong; only an id of what nobody foresaw leaves us."""
    match error:
        case Refused():
            return error.answer
        case Unfit():
            return errors.invalid(str(error))
        case body.TooLarge():
            return errors.TOO_LARGE
        case body.TooSlow():
            return errors.TOO_SLOW
        case PunchgateError() if (known := errors.of(error)) is not None:
            return known
    request_id = uuid4().hex
    telemetry.failed("terminals_rest", request_id, error)
    return errors.INTERNAL._replace(headers=((b"request-id", request_id.encode()),))
