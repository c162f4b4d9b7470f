"""Which addresses a target leads to, and whether we connect to them.

It answers for "all or none": a name whose addresses are not all allowed leads nowhere, and a name
that cannot be resolved is refused like one that may not be. Who connects does so to the addresses
that were given here, in their numbers, so nobody resolves a second time. The table of networks is
`domain/target.py`; this module connects to nothing.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from punchgate.domain import target as targets
from punchgate.domain.target import Rules, Target

#: Gives the addresses of a host name as text. Any error of it is a refusal.
Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]


class NotAllowed(Exception):
    """We do not connect there; why is nobody's business."""


class Guard:
    """The only way from a target to addresses.

    Concurrency:  those who ask for the same name together share one answer: a name server that
                  hangs holds one thread, not as many as there are requests.
    """

    def __init__(self, rules: Rules, resolve: Resolve | None = None) -> None:
        self.rules = rules
        self._resolve = resolve or _ask_system
        self._asked: dict[tuple[str, int], asyncio.Task[Sequence[str]]] = {}

    async def addresses(self, target: Target) -> list[str]:
        """Give the addresses of a target, as they are to be connected to.

        Shapes:  at least one, each once, as numbers, in the order in which they should be tried.
        Errors:  NotAllowed.
        """
        is_number = targets.literal(target.host) is not None
        found = [target.host] if is_number else await self._ask(target.host, target.port)
        # Plain http that is not allowed in general may only go to the operator's networks.
        is_inside = target.scheme == "http" and not self.rules.allow_http
        judge = targets.is_inside if is_inside else targets.is_allowed
        addresses = [targets.literal(text) for text in found]
        good = [each for each in addresses if each is not None and judge(each, self.rules)]
        # One good address among bad ones is how a name is made to look good.
        if not good or len(good) < len(addresses):
            raise NotAllowed
        return list(dict.fromkeys(map(str, good)))

    def close(self) -> None:
        """Wait for no name any more."""
        for asked in self._asked.values():
            asked.cancel()

    async def _ask(self, host: str, port: int) -> Sequence[str]:
        key = host, port
        asked = self._asked.get(key)
        if asked is None:
            asked = asyncio.create_task(self._answer(host, port))
            self._asked[key] = asked
            asked.add_done_callback(lambda _: self._asked.pop(key))
        await asyncio.wait({asked})  # whoever is cancelled does not take it from the others
        return () if asked.cancelled() else asked.result()

    async def _answer(self, host: str, port: int) -> Sequence[str]:
        try:
            return await self._resolve(host, port)
        except (OSError, UnicodeError):
            return ()  # a refusal, also where nobody waits for it any more


async def _ask_system(host: str, port: int) -> Sequence[str]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]
