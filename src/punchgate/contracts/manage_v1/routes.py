"""The one operation of manage v1 on a bare ASGI path: check in the published order, ask, answer."""

from typing import Final
from uuid import uuid4

from punchgate import telemetry
from punchgate.contracts.manage_v1 import auth, shapes, waiting
from punchgate.contracts.manage_v1.cursor import Seal
from punchgate.contracts.manage_v1.errors import (
    INTERNAL,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    TOO_LARGE,
    TOO_SLOW,
    Refused,
    of,
    rate_limited,
)
from punchgate.contracts.manage_v1.settings import Settings
from punchgate.contracts.manage_v1.shapes import Asked
from punchgate.domain.error import PunchgateError
from punchgate.domain.key import Key
from punchgate.httpkit import answers, body, query
from punchgate.httpkit.answers import Answer
from punchgate.httpkit.bucket import Buckets, Policy
from punchgate.httpkit.edge import Edge, Receive, Scope, Send
from punchgate.reports import events
from punchgate.reports.events import Page, Wanted

PATH: Final = "/v1/events"
#: A body means nothing here; whoever sends a large one does not mean us.
BODY_MAX_BYTES: Final = 64 * 1024
_WINDOW_S: Final = 60


class Manage:
    """The ASGI app of manage v1, with its limit and its waiting room.

    The limit is counted in memory, each process for itself: whoever follows the log asks often, and
    no question is worth a commit.
    """

    def __init__(self, edge: Edge, settings: Settings) -> None:
        self._edge = edge
        self._settings = settings
        self._room = waiting.Room()
        quota = settings.rate_requests
        self._buckets = Buckets(Policy("manage", quota, _WINDOW_S)) if quota else None

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
        telemetry.requested("manage_v1", answer.status, self._edge.monotonic() - started)

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        """Check what needs no key, then answer to the key, with what is left of its limit."""
        _check_request(scope)
        key = await auth.find_key(self._edge, scope)
        is_admitted = self._buckets is None or self._buckets.take(
            key.key_id, self._edge.monotonic()
        )
        try:
            answer = await self._answer_key(key, scope, receive, is_admitted=is_admitted)
        except body.Gone:
            raise
        except Exception as error:  # noqa: BLE001 (its answer tells what is left, too)
            answer = _refuse(error)
        if self._buckets is None:
            return answer
        left = self._buckets.headers(key.key_id, self._edge.monotonic())
        return answer._replace(headers=answer.headers + left)

    async def _answer_key(
        self, key: Key, scope: Scope, receive: Receive, *, is_admitted: bool
    ) -> Answer:
        auth.check_scope(key)
        if self._buckets is not None and not is_admitted:
            wait_s = self._buckets.wait_s(key.key_id, self._edge.monotonic())
            return rate_limited(self._buckets.policy.quota, wait_s=wait_s)
        await body.drop(scope, receive, cap=BODY_MAX_BYTES, monotonic=self._edge.monotonic)
        asked = shapes.read(query.read(scope))
        return await self._events(key, asked, receive)

    async def _events(self, key: Key, asked: Asked, receive: Receive) -> Answer:
        database, account = self._edge.context.database, key.account
        wanted = Wanted(asked.filter, key.devices)
        about = await events.about(database, account)
        seal = Seal(about.secret, account, wanted)
        if asked.cursor is None:
            place = await events.start(database, account, asked.since)
        else:
            place = seal.read(asked.cursor)
        deadline = self._edge.monotonic() + asked.wait_s
        log = self._edge.context.log
        page = await events.read(log, account, place, wanted, limit=asked.limit)
        if asked.wait_s and _is_nothing(page):
            with self._room.seat(key.key_id):
                news = self._news(key, wanted, page, limit=asked.limit, deadline=deadline)
                found = await waiting.attended(news, receive, self._edge.stopping)
                # What was read before is as true an answer, from an earlier place.
                page = page if found is None else found
        content = shapes.write(page, account=about.name, cursor=seal.write(page.reached))
        return Answer(200, content)

    async def _news(
        self, key: Key, wanted: Wanted, page: Page, *, limit: int, deadline: float
    ) -> Page:
        """Read on whenever the log has gone on, until something is wanted or the time is up."""
        log, monotonic = self._edge.context.log, self._edge.monotonic
        while _is_nothing(page) and (left_s := deadline - monotonic()) > 0:
            await log.wait(key.account, page.reached, left_s)
            page = await events.read(log, key.account, page.reached, wanted, limit=limit)
        return page


def _check_request(scope: Scope) -> None:
    """Check path and method."""
    if scope["path"] != PATH:
        raise Refused(NOT_FOUND)
    if scope["method"] not in {"GET", "HEAD"}:
        raise Refused(METHOD_NOT_ALLOWED)


def _is_nothing(page: Page) -> bool:
    """Say whether a page is worth waiting for a better one; one that looked far enough is told."""
    return not page.entries and not page.has_more


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
    telemetry.failed("manage_v1", request_id, error)
    return INTERNAL._replace(headers=((b"request-id", request_id.encode()),))
