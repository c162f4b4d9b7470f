"""`/livez`, `/readyz` and `/metrics`: what an orchestrator and a scraper ask.

`/livez` asks nothing of anybody: a blip of the database must not restart every process. `/readyz`
writes something and waits for its commit.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from punchgate import telemetry
from punchgate.domain.error import PunchgateError
from punchgate.httpkit import answers
from punchgate.httpkit.answers import Answer
from punchgate.httpkit.edge import Receive, Scope, Send

#: A probe write that takes longer means that punches do too.
PROBE_S: Final = 0.5
_METRICS: Final = b"text/plain; version=0.0.4; charset=utf-8"
_LIVE: Final = Answer(200, b'{"live":true}')
_NOT_ALLOWED: Final = Answer(405, b'{"error":"method not allowed"}', ((b"allow", b"GET, HEAD"),))


class Health:
    """The ASGI app of the three paths."""

    def __init__(
        self,
        *,
        probe: Callable[[], Awaitable[None]],
        troubles: Callable[[], list[str]],
        gauges: Callable[[], Awaitable[None]],
    ) -> None:
        """Take what writes the probe, names troubles known without it, and sets the gauges."""
        self._probe = probe
        self._troubles = troubles
        self._gauges = gauges

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 (ASGI)
        """Answer one request."""
        await answers.write(await self._answer(scope), scope, send)

    async def _answer(self, scope: Scope) -> Answer:
        if scope["method"] not in {"GET", "HEAD"}:
            return _NOT_ALLOWED
        if scope["path"] == "/livez":
            return _LIVE
        if scope["path"] == "/metrics":
            await self._measure()
            return Answer(200, telemetry.metrics(), media=_METRICS)
        is_ready = await self._is_ready()
        return Answer(200 if is_ready else 503, msgspec.json.encode({"ready": is_ready}))

    async def _measure(self) -> None:
        """Set the gauges; without a store they stay as they were, and the rest is still told."""
        try:
            await self._gauges()
        except PunchgateError as error:
            telemetry.say("not.measured", "warning", slug=error.slug)

    async def _is_ready(self) -> bool:
        """Say whether punches can be taken; why not goes to the log, where only operators read."""
        reasons = self._troubles()
        if not reasons:
            try:
                async with asyncio.timeout(PROBE_S):
                    await self._probe()
            except TimeoutError:
                reasons = ["the probe write took too long"]
            except PunchgateError as error:
                reasons = [str(error)]
        if reasons:
            telemetry.say("not.ready", "warning", reason="; ".join(reasons))
        return not reasons
