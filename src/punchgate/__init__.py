"""Punchgate, a self-hosted attendance gateway.

Whatever a terminal speaks goes in, every punch takes one path into one store, and whatever the
business software speaks comes out. Start reading at `app.py` (how the system is put together),
`registry.py` (what it speaks) and docs/tour.md (one punch through the files).
"""

__version__ = "0.1.0"
