"""What an operation gets: who asks, for what, and the way to the device that is meant."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from punchgate.contracts.terminals_rest import errors, fields
from punchgate.contracts.terminals_rest.auth import Visitor
from punchgate.contracts.terminals_rest.errors import Refused
from punchgate.contracts.terminals_rest.fields import Values
from punchgate.contracts.terminals_rest.settings import Settings
from punchgate.httpkit import body
from punchgate.httpkit.edge import Edge, Receive
from punchgate.reports import terminals
from punchgate.reports.terminals import Registered
from punchgate.usecases.context import Context
from punchgate.usecases.terminal_orders import Place
from punchgate.usecases.terminals import Caller

T = TypeVar("T")

#: Ids that a "not found" names.
_MOST_KNOWN: Final = 100


@dataclass(frozen=True, slots=True)
class Call:
    """One request that may do what it asks for."""

    edge: Edge
    settings: Settings
    visitor: Visitor
    #: What stands in the path where an operation has a name: device, person.
    names: tuple[str, ...]
    query: Values
    #: Empty where an operation takes none.
    content: bytes
    #: What the caller does next; it may go away while a terminal is asked.
    receive: Receive

    @property
    def context(self) -> Context:
        """Give what verbs work with."""
        return self.edge.context

    @property
    def terminals(self) -> Caller:
        """Give who talks to terminals."""
        return self.settings.caller

    def place(self, device: Registered) -> Place:
        """Give a terminal with who talks to it."""
        return Place(self.terminals, self.visitor.account, device.device_id)

    async def device(self) -> Registered:
        """Give the device that the path names.

        Errors:  Refused, alike for one that is not there and for one that the caller may not see.
        """
        written = self.names[0]
        device_id = fields.read_device_id(written)
        found = None
        if device_id is not None and self.visitor.covers(device_id):
            found = await terminals.find(self.context.database, self.visitor.account, device_id)
        if found is None:
            raise await self.absent(written)
        return found

    async def terminal(self) -> Registered:
        """Give the device that the path names, if it is one that we call.

        Errors:  Refused.
        """
        device = await self.device()
        if device.engine != "zk" or device.host is None:
            raise Refused(errors.UNSUPPORTED)
        return device

    def read_body(self) -> dict[str, Any]:
        """Give the object that was sent.

        Errors:  Refused.
        """
        found = fields.read_object(self.content)
        if found is None:
            raise Refused(errors.NO_BODY)
        return found

    async def attended(self, work: Coroutine[Any, Any, T]) -> T:
        """Give what `work` gives; it is cancelled when the caller goes away meanwhile.

        Errors:  body.Gone; what `work` raises.
        """
        working = asyncio.ensure_future(work)
        leaving = asyncio.ensure_future(_leaves(self.receive))
        try:
            await asyncio.wait([working, leaving], return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise body.Gone
            return await working
        finally:
            for task in (working, leaving):
                task.cancel()
            await asyncio.wait([working, leaving])

    async def absent(self, written: str) -> Refused:
        """Give the refusal of a device that is not there, with those that the caller may see."""
        known = await terminals.list_registered(
            self.context.database,
            self.visitor.account,
            only=self.visitor.only,
            limit=_MOST_KNOWN,
        )
        return Refused(errors.no_device(written, [each.device_id for each in known]))


async def _leaves(receive: Receive) -> None:
    """Return when the caller has gone; what it may still send means nothing."""
    while (await receive())["type"] != "http.disconnect":
        continue
