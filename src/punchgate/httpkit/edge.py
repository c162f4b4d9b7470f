"""What every published contract is built with: the context, and the clock that `app.py` owns."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from punchgate.usecases.context import Context

Scope = MutableMapping[str, Any]
Receive = Callable[[], Coroutine[Any, Any, MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Edge:
    """The inside, as a contract sees it."""

    context: Context
    #: Milliseconds since 1970-01-01 UTC.
    now: Callable[[], int]
    #: Seconds that only ever grow: limits and intervals, never a stored time.
    monotonic: Callable[[], float]
    #: Set when the server is about to stop: whoever holds a request open answers it now.
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
