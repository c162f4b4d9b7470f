"""`github`: the envelope with the headers that a receiver of GitHub's webhooks verifies.

The body is that of `standard`. There is room for one signature: see `signing.github`.
"""

from typing import Final

from punchgate.delivery import render, signing
from punchgate.delivery.form import Format

FORMAT: Final = Format(
    name="github",
    types=frozenset(),
    render=render.event,
    render_batch=render.batch,
    sign=signing.github,
    accepted=render.accepted,
)
