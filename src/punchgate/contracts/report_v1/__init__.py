"""Report v1: `GET /api/v1/attendance/summary`, the days of the people of an account.

Published in docs/contracts/report-v1.md. It only reads, apart from counting its own requests.
"""

from punchgate.contracts.report_v1.openapi import describe
from punchgate.contracts.report_v1.routes import Report
from punchgate.contracts.report_v1.settings import Settings
from punchgate.httpkit.edge import App, Edge

__all__ = ["Settings", "build", "describe"]


def build(edge: Edge, settings: Settings) -> App:
    """Build the app that answers every path below `/api/v1/attendance/`."""
    return Report(edge, settings)
