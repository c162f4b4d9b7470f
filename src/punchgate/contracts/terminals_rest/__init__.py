"""Terminals REST: `/devices…` and `/attendance/all`, the JSON surface over terminals that we call.

Published in docs/contracts/terminals-rest.md. What is read from a terminal is recorded before it is
shown.
"""

from punchgate.contracts.terminals_rest.openapi import describe
from punchgate.contracts.terminals_rest.routes import Terminals
from punchgate.contracts.terminals_rest.settings import Settings
from punchgate.httpkit.edge import App, Edge

__all__ = ["PATHS", "Settings", "build", "describe"]

#: What it answers; beside its own paths that is everything near them, so that it is said in its
#: words.
PATHS = ("/", "/devices", "/devices/", "/attendance", "/attendance/")


def build(edge: Edge, settings: Settings) -> App:
    """Build the app that answers `/`, `/devices` and `/attendance/all`."""
    return Terminals(edge, settings)
