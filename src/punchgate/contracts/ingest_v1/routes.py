"""The four operations of ingest v1 on a bare ASGI path: check in the published order, then answer.

Nothing is answered before its turn in the store: a 200 is made of receipts, and receipts exist only
after the commit.
"""

from collections.abc import Sequence
from typing import Final
from uuid import uuid4

from punchgate import telemetry
from punchgate.contracts.ingest_v1 import auth, shapes, state
from punchgate.contracts.ingest_v1.errors import (
    INACTIVE_SUBSCRIPTION,
    INTERNAL_ERROR,
    INVALID_BODY,
    REQUEST_TIMEOUT,
    UNAVAILABLE,
    UNKNOWN_OPERATION,
    UNSUPPORTED_ENCODING,
    Refused,
    body_too_large,
    invalid_punch,
    method_not_allowed,
    of,
    rate_limited,
)
from punchgate.contracts.ingest_v1.settings import Settings
from punchgate.domain.error import PunchgateError
from punchgate.httpkit import answers, body, source
from punchgate.httpkit.answers import Answer, Headers
from punchgate.httpkit.bucket import Buckets, Policy
from punchgate.httpkit.edge import Edge, Receive, Scope, Send
from punchgate.usecases import punches
from punchgate.usecases.directory import Entry
from punchgate.usecases.punches import Receipt
from punchgate.wire.event import PunchesSeen, Reading, Unreadable

BASE: Final = "/api/attendance/v1/"
_OPERATIONS: Final = frozenset({"punch", "heartbeat", "validity", "config"})
_ASKING: Final = frozenset({"GET", "HEAD", "POST"})
#: What a stranger's share is counted by.
_FAILED: Final = frozenset({400, 401, 404})


class Request:
    """What is known of a request so far; limit headers and the log line are made of it."""

    __slots__ = ("account", "address", "outcomes", "scope", "serial")

    def __init__(self, scope: Scope, address: str) -> None:
        self.scope = scope
        self.address = address
        #: The proven device's serial, None until then.
        self.serial: str | None = None
        self.account = 0
        self.outcomes: Sequence[str] = ()


class Ingest:
    """The ASGI app of ingest v1, with its limits."""

    def __init__(self, edge: Edge, settings: Settings) -> None:
        self._edge = edge
        self._settings = settings
        self._trusted = source.networks(settings.trusted_proxies)
        device = Policy("device", settings.rate_requests, settings.rate_window_s)
        self._devices = Buckets(device) if settings.rate_requests else None
        failed = Policy("source", settings.fail_requests, 60)
        self._sources = Buckets(failed) if settings.fail_requests else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        started = self._edge.monotonic()
        request = Request(scope, source.address(scope, self._trusted))
        try:
            answer = await self._answer(request, receive)
        except body.Gone:
            return
        except Exception as error:  # noqa: BLE001 (the edge: one envelope for what nobody foresaw)
            answer = self._refuse(request, error)
        limit = self._limit_headers(request)
        if limit:
            answer = Answer(answer.status, answer.body, answer.headers + limit)
        await answers.write(answer, scope, send)
        elapsed = self._edge.monotonic() - started
        telemetry.requested("ingest_v1", answer.status, elapsed)
        if request.outcomes:
            telemetry.punches("http", request.outcomes, account=request.account, seconds=elapsed)

    async def _answer(self, request: Request, receive: Receive) -> Answer:
        operation = _operation(request.scope)
        headers = auth.read_headers(request.scope)
        cap = self._settings.body_max_bytes
        if headers.length is not None and headers.length > cap:
            raise Refused(body_too_large(cap))
        self._check_source(request.address)
        entry = auth.recall_device(self._edge, headers) or await auth.find_device(
            self._edge,
            headers,
            address=request.address,
            operation=operation,
            is_hidden=self._settings.hide_unknown_devices,
        )
        now = self._edge.now()
        self._admit(request, entry, now)
        if operation == "punch" and not entry.is_active(now):
            raise Refused(INACTIVE_SUBSCRIPTION)
        if headers.is_encoded:
            raise Refused(UNSUPPORTED_ENCODING)
        if operation == "punch":
            return await self._punch(request, entry, receive)
        if headers.has_body:
            await self._read_body(receive)
        if operation == "heartbeat":
            return Answer(200, shapes.OK)
        if operation == "validity":
            return Answer(200, state.write_validity(entry, now))
        return Answer(200, state.write_configuration(entry, self._settings, now))

    def _check_source(self, address: str) -> None:
        """Refuse an address that has failed too often lately."""
        if self._sources is not None:
            now = self._edge.monotonic()
            if self._sources.is_spent(address, now):
                raise Refused(rate_limited(self._sources.wait_s(address, now)))

    def _admit(self, request: Request, entry: Entry, now: int) -> None:
        """Note that a proven device was heard, and count its request."""
        device = entry.device
        request.serial, request.account = device.serial, device.account
        self._edge.context.presence.heard(
            device.account, device.id, address=request.address, now=now
        )
        if self._devices is not None:
            moment = self._edge.monotonic()
            if not self._devices.take(device.serial, moment):
                raise Refused(rate_limited(self._devices.wait_s(device.serial, moment)))

    async def _punch(self, request: Request, entry: Entry, receive: Receive) -> Answer:
        text = await self._read_body(receive)
        items, is_batch = shapes.read(text, batch_max=self._settings.batch_max)
        if not is_batch:
            _check_shape(items[0])
        seen = PunchesSeen(items)
        context = self._edge.context
        receipts = await punches.record(
            context, entry, seen, transport="http", now=self._edge.now()
        )
        request.outcomes = [receipt.status for receipt in receipts]
        if is_batch:
            return Answer(200, shapes.write_batch(receipts))
        return Answer(200, shapes.OK, _punch_headers(receipts[0]))

    async def _read_body(self, receive: Receive) -> bytes:
        cap = self._settings.body_max_bytes
        try:
            return await body.read(receive, cap=cap, monotonic=self._edge.monotonic)
        except body.TooLarge:
            raise Refused(body_too_large(cap)) from None
        except body.TooSlow:
            raise Refused(REQUEST_TIMEOUT) from None

    def _refuse(self, request: Request, error: Exception) -> Answer:
        """Make the answer of an error; a failure of the caller's counts against its address."""
        known = error.refusal if isinstance(error, Refused) else None
        if isinstance(error, PunchgateError):
            known = of(error)
        if known is None:
            request_id = uuid4().hex
            telemetry.failed("ingest_v1", request_id, error)
            headers: Headers = ((b"request-id", request_id.encode()),)
            return Answer(INTERNAL_ERROR.status, INTERNAL_ERROR.body, headers)
        if known.status in _FAILED and self._sources is not None:
            self._sources.take(request.address, self._edge.monotonic())
        if known is UNAVAILABLE:
            telemetry.SHED.labels("busy").inc()
        return Answer(known.status, known.body, known.headers)

    def _limit_headers(self, request: Request) -> Headers:
        """Say what is left: of the device's share once it is known, else of the source's."""
        buckets, key = self._devices, request.serial
        if key is None:
            buckets, key = self._sources, request.address
        if buckets is None:
            return ()
        left = buckets.describe(key, self._edge.monotonic())
        return (
            (b"ratelimit-policy", buckets.policy.describe().encode()),
            (b"ratelimit", left.encode()),
        )


def _operation(scope: Scope) -> str:
    """Give the operation that a request asks for; path first, then method."""
    path: str = scope["path"]
    operation = path.removeprefix(BASE).removesuffix("/") if path.startswith(BASE) else ""
    if operation not in _OPERATIONS:
        raise Refused(UNKNOWN_OPERATION)
    method = scope["method"]
    if operation == "punch":
        if method != "POST":
            raise Refused(method_not_allowed("POST"))
    elif method not in _ASKING:
        raise Refused(method_not_allowed("GET, HEAD, POST"))
    return operation


def _check_shape(item: Reading | Unreadable) -> None:
    """Refuse a single body without the shape of a punch: a client's mistake, not a device's."""
    if isinstance(item, Unreadable):
        if item.reason == "not_an_object":
            raise Refused(INVALID_BODY)
        if item.detail:
            raise Refused(invalid_punch(item.detail))


def _punch_headers(receipt: Receipt) -> Headers:
    status = (b"punch-status", receipt.status.encode())
    if receipt.punch_id is not None:
        return ((b"punch-id", receipt.punch_id.encode()), status)
    return (
        status,
        (b"quarantine-id", (receipt.quarantine_id or "").encode()),
        (b"quarantine-reason", (receipt.reason or "").encode()),
    )
