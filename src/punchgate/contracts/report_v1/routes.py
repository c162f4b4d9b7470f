"""The one operation of report v1 on a bare ASGI path: check in the published order, ask, answer."""

from typing import Final, NamedTuple
from uuid import uuid4

from punchgate import telemetry
from punchgate.contracts.report_v1 import auth, shapes
from punchgate.contracts.report_v1.errors import (
    INTERNAL,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    TOO_LARGE,
    TOO_SLOW,
    Refused,
    of,
    rate_limited,
)
from punchgate.contracts.report_v1.settings import Settings
from punchgate.domain.error import PunchgateError
from punchgate.domain.key import Key
from punchgate.httpkit import answers, body, query
from punchgate.httpkit.answers import Answer, Headers
from punchgate.httpkit.bucket import Policy
from punchgate.httpkit.edge import Edge, Receive, Scope, Send
from punchgate.reports import summary
from punchgate.usecases import limits
from punchgate.usecases.limits import Window

PATH: Final = "/api/v1/attendance/summary"
#: A body means nothing here; whoever sends a large one does not mean us.
BODY_MAX_BYTES: Final = 64 * 1024
#: The name of the limit, in the store and in its headers.
LIMIT: Final = "report"


class Counted(NamedTuple):
    """A counted request: the limit in force for its key, and what is left of it."""

    policy: Policy
    window: Window

    @property
    def headers(self) -> Headers:
        """Tell of both."""
        left = self.policy.left(self.window.left, full_in_s=self.window.resets_in_s)
        return self.policy.headers(left)


class Report:
    """The ASGI app of report v1."""

    def __init__(self, edge: Edge, settings: Settings) -> None:
        self._edge = edge
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        started = self._edge.monotonic()
        try:
            answer = await self._answer(scope, receive)
        except body.Gone:
            return
        except Exception as error:  # noqa: BLE001 (the edge: one envelope for what nobody foresaw)
            answer = _refuse(error)
        await answers.write(answer, scope, send)
        telemetry.requested("report_v1", answer.status, self._edge.monotonic() - started)

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        """Check what needs no key, then answer to the key, with what is left of its limit."""
        _check_request(scope)
        key = await auth.find_key(self._edge, scope)
        counted = await self._count(key)
        try:
            answer = await self._answer_key(key, counted, scope, receive)
        except body.Gone:
            raise
        except Exception as error:  # noqa: BLE001 (its answer tells what is left, too)
            answer = _refuse(error)
        if counted is None:
            return answer
        return answer._replace(headers=answer.headers + counted.headers)

    async def _answer_key(
        self, key: Key, counted: Counted | None, scope: Scope, receive: Receive
    ) -> Answer:
        auth.check_scope(key)
        settings = self._settings
        if counted is not None and counted.window.is_exceeded:
            policy, wait_s = counted.policy, counted.window.resets_in_s
            return rate_limited(policy.quota, policy.window_s, wait_s=wait_s)
        await body.drop(scope, receive, cap=BODY_MAX_BYTES, monotonic=self._edge.monotonic)
        asked = shapes.read(query.read(scope))
        page = await summary.read(self._edge.context.database, key.account, asked)
        content = shapes.write(asked, page, default_user_type=settings.default_user_type)
        return Answer(200, content)

    async def _count(self, key: Key) -> Counted | None:
        """Count a request of a valid key, whatever becomes of it; None where there is no limit."""
        own, settings = key.report_requests, self._settings
        quota = settings.rate_requests if own is None else own
        if not quota:
            return None
        window = await limits.count(
            self._edge.context,
            key,
            LIMIT,
            quota=quota,
            window_s=settings.rate_window_s,
            now=self._edge.now(),
        )
        return Counted(Policy(LIMIT, quota, settings.rate_window_s), window)


def _check_request(scope: Scope) -> None:
    """Check path and method."""
    if scope["path"] != PATH:
        raise Refused(NOT_FOUND)
    if scope["method"] not in {"GET", "HEAD"}:
        raise Refused(METHOD_NOT_ALLOWED)


def _refuse(error: Exception) -> Answer:
    """Give the answer to anything that went wrong; only an id of what nobody foresaw leaves us."""
    match error:
        case Refused():
            return error.answer
        case body.TooLarge():
            return TOO_LARGE
        case body.TooSlow():
            return TOO_SLOW
        case PunchgateError() if (known := of(error)) is not None:
            return known
    request_id = uuid4().hex
    telemetry.failed("report_v1", request_id, error)
    return Answer(INTERNAL.status, INTERNAL.body, ((b"request-id", request_id.encode()),))
