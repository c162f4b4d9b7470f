"""Which tests of lines run on both event loops: those of what touches a transport itself."""

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop


def pytest_asyncio_loop_factories(
    item: pytest.Item,  # noqa: ARG001 (the hook's own name)
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Give the plain loop, and uvloop's, on which a gateway runs."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
