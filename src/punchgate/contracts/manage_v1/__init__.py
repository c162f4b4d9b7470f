"""Manage v1: `GET /v1/events`, the event log for those who cannot be called.

The pull twin of delivery, published in docs/contracts/manage-v1.md: the same entries in the same
order and the same bytes as a webhook of the format `standard`. It reads and stores nothing: how far
somebody is stands in the cursor that he keeps.
"""

from punchgate.contracts.manage_v1.openapi import describe
from punchgate.contracts.manage_v1.routes import Manage
from punchgate.contracts.manage_v1.settings import Settings
from punchgate.httpkit.edge import App, Edge

__all__ = ["Settings", "build", "describe"]


def build(edge: Edge, settings: Settings) -> App:
    """Build the app that answers every path below `/v1/`."""
    return Manage(edge, settings)
