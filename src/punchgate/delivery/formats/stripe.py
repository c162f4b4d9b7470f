"""`stripe`: the envelope with the signature header that a receiver of Stripe's webhooks verifies.

The body is that of `standard`; only who signs differs.
"""

from typing import Final

from punchgate.delivery import render, signing
from punchgate.delivery.form import Format

FORMAT: Final = Format(
    name="stripe",
    types=frozenset(),
    render=render.event,
    render_batch=render.batch,
    sign=signing.stripe,
    accepted=render.accepted,
)
