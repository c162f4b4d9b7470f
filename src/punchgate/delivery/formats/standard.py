"""`standard`: the envelope, signed as Standard Webhooks; what an endpoint gets unless it asks.

It carries every event type, and any 2xx is its acknowledgement.
"""

from typing import Final

from punchgate.delivery import render, signing
from punchgate.delivery.form import Format

FORMAT: Final = Format(
    name="standard",
    types=frozenset(),
    render=render.event,
    render_batch=render.batch,
    sign=signing.standard,
    accepted=render.accepted,
)
