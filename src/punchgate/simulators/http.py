"""A virtual terminal that speaks HTTP ingest v1: it keeps what was not acknowledged, and sends it.

It plays the outside world: of ours it uses nothing but what the published contract says. The clock,
the pause and chance are arguments. What an answer means is decided in `retry.py`; what is punched
comes from `day.py` or from whoever calls.
"""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import aiohttp

from punchgate.simulators import retry
from punchgate.simulators.day import Planned
from punchgate.simulators.note import Acknowledged, Failed, Item, Noted, Refused, Sent

#: The most that one request may carry (docs/contracts/ingest-v1.md, batches).
BATCH_MAX: Final = 1000
#: A gateway that takes longer than this for one answer is treated like a broken connection.
_ANSWER_S: Final = 30.0
_BASE: Final = "/api/attendance/v1/"


class Credentials(NamedTuple):
    """What a device proves itself with."""

    serial: str
    token: str


class Settings(NamedTuple):
    """The part of `config` that a terminal lives by."""

    #: What the device's clock would show if it were set right, without a zone.
    wall_time: datetime
    heartbeat_interval_s: int
    batch_max: int


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a terminal stands in: time, chance, and who takes notes."""

    #: Monotonic, in seconds.
    clock: Callable[[], float]
    pause: Callable[[float], Awaitable[None]]
    #: Between 0 and 1.
    chance: Callable[[], float]
    noted: Noted
    backoff: retry.Backoff = field(default_factory=retry.Backoff)
    #: How long one upload is tried in vain before the terminal gives up; None is for ever.
    patience_s: float | None = None


class Stopped(Exception):
    """The terminal cannot go on: nothing will be taken until a person changes something."""


class Terminal:
    """One device. It sends one request at a time, in the order in which it is told to.

    Concurrency:  one task uploads; `heartbeat` may run beside it.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        server: str,
        credentials: Credentials,
        surroundings: Surroundings,
    ) -> None:
        self.serial = credentials.serial
        self._session = session
        self._base = server.rstrip("/") + _BASE
        self._headers = {"sn": credentials.serial, "auth-token": credentials.token}
        self._around = surroundings

    async def upload(self, items: Sequence[Item]) -> None:
        """Send these items until each is acknowledged or set aside: one by itself, more as a batch.

        Shapes:  1 to `BATCH_MAX` items, in the device's own order.
        Errors:  Stopped when the gateway will not have anything from us, or patience ran out.
        Repeating:  the same bytes are sent again; an item is let go when the answer names it.
        """
        body = items[0].body if len(items) == 1 else b"[" + b",".join(i.body for i in items) + b"]"
        match await self._persist("POST", "punch", body, items):
            case retry.Split() if len(items) > 1:
                middle = len(items) // 2
                await self.upload(items[:middle])
                await self.upload(items[middle:])
            case retry.Split():
                self._around.noted(Refused(self.serial, items, "too large by itself"))
            case retry.SetAside(reason):
                self._around.noted(Refused(self.serial, items, reason))

    async def heartbeat(self) -> bool:
        """Tell once that we are alive; a heartbeat that gets lost is not sent again."""
        reply = await self._ask("POST", "heartbeat", None)
        return isinstance(reply, retry.Reply) and reply.status == 200

    async def is_valid(self) -> bool:
        """Ask once whether our subscription is active; anything but a clear yes counts as no."""
        reply = await self._ask("GET", "validity", None)
        if isinstance(reply, str) or reply.status != 200:
            return False
        try:
            return json.loads(reply.body)["valid"] is True
        except (ValueError, TypeError, KeyError):
            return False

    async def config(self) -> Settings:
        """Ask for our settings until we have them.

        Errors:  Stopped, as for `upload`, and when what we get is not a configuration.
        """
        decision = await self._persist("GET", "config", None, ())
        try:
            if isinstance(decision, retry.Accept):
                return _settings(json.loads(decision.reply.body))
        except (ValueError, TypeError, KeyError):
            pass
        raise Stopped(f"{self.serial}: no configuration at {self._base}: is this the address?")

    async def _persist(
        self, method: str, operation: str, body: bytes | None, items: Sequence[Item]
    ) -> retry.Accept | retry.Split | retry.SetAside:
        """Ask the same thing until the answer is one to act on; items are noted as they go."""
        attempt = 0
        started_at = self._around.clock()
        while True:
            if items:
                self._around.noted(Sent(self.serial, items))
            reply = await self._ask(method, operation, body)
            decision, trouble = self._judge(reply, attempt, items)
            match decision:
                case retry.Accept() | retry.Split() | retry.SetAside():
                    return decision
                case retry.Stop(reason):
                    raise Stopped(f"{self.serial}: {reason}")
                case retry.Again(after_s):
                    await self._wait(started_at, after_s, trouble)
                case retry.WhenValid(every_s):
                    await self._wait(started_at, every_s, trouble)
                    while not await self.is_valid():
                        await self._wait(started_at, every_s, trouble)
            attempt += 1

    def _judge(
        self, reply: retry.Reply | str, attempt: int, items: Sequence[Item]
    ) -> tuple[retry.Decision, str]:
        """Decide, and note it: the trouble is a word for people, empty where there is none."""
        around = self._around
        backoff_s = around.backoff.after(attempt, around.chance())
        trouble = reply if isinstance(reply, str) else f"{reply.status} {reply.code()}".strip()
        decision: retry.Decision = retry.Again(backoff_s)
        if isinstance(reply, retry.Reply):
            decision = retry.decide(reply, backoff_s=backoff_s, later_s=around.backoff.later_s)
        if isinstance(decision, retry.Accept) and items:
            answers = retry.answers_of(decision.reply, len(items))
            if answers is None:
                decision, trouble = retry.Again(backoff_s), "200 without an acknowledgement"
            else:
                around.noted(Acknowledged(self.serial, items, answers))
        if not isinstance(decision, retry.Accept | retry.SetAside):
            around.noted(Failed(self.serial, items, trouble))
        return decision, trouble

    async def _wait(self, started_at: float, wait_s: float, trouble: str) -> None:
        around = self._around
        tried_s = around.clock() - started_at
        if around.patience_s is not None and tried_s + wait_s > around.patience_s:
            raise Stopped(f"{self.serial}: gave up after {tried_s:.0f} s, at last: {trouble}")
        await around.pause(wait_s)

    async def _ask(self, method: str, operation: str, body: bytes | None) -> retry.Reply | str:
        """Send one request and read its whole answer; a word for the trouble when there is none."""
        limit = aiohttp.ClientTimeout(total=_ANSWER_S)
        try:
            async with self._session.request(
                method,
                self._base + operation,
                data=body,
                headers=self._headers,
                timeout=limit,
                allow_redirects=False,
            ) as answer:
                read = await answer.read()
                return retry.Reply(answer.status, dict(answer.headers), read)
        except aiohttp.ClientConnectorError as error:
            return (
                "refused" if isinstance(error.os_error, ConnectionRefusedError) else "unreachable"
            )
        except TimeoutError:
            return "timeout"
        except (aiohttp.ClientError, OSError):
            return "closed"


def item(number: int, punch: Planned) -> Item:
    """Write a planned punch as the contract's JSON object."""
    said = {
        "user_id": punch.user_code,
        "att_time": f"{punch.wall_time:%Y-%m-%d %H:%M:%S}",
        "att_state": punch.direction_code,
        "input_type": punch.verify_code,
    }
    return Item(number, json.dumps(said, separators=(",", ":")).encode())


def _settings(said: dict[str, Any]) -> Settings:
    sign, hours, minutes = said["utc_offset"][0], said["utc_offset"][1:3], said["utc_offset"][4:6]
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    now = datetime.fromtimestamp(said["server_epoch"], UTC).replace(tzinfo=None)
    return Settings(
        wall_time=now - offset if sign == "-" else now + offset,
        heartbeat_interval_s=int(said["heartbeat_interval_s"]),
        batch_max=int(said["limits"]["batch_max"]),
    )
