"""Ingest v1: `/api/attendance/v1/{punch|heartbeat|validity|config}`.

The HTTP front door for anything that produces punches. Published in docs/contracts/ingest-v1.md. A
200 means that the punch is on disk.
"""

from punchgate.contracts.ingest_v1.openapi import describe
from punchgate.contracts.ingest_v1.routes import Ingest
from punchgate.contracts.ingest_v1.settings import Settings
from punchgate.httpkit.edge import App, Edge

__all__ = ["Settings", "build", "describe"]


def build(edge: Edge, settings: Settings) -> App:
    """Build the app that answers every path below `/api/attendance/`."""
    return Ingest(edge, settings)
