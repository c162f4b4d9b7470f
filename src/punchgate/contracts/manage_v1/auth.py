"""Who calls manage v1: the key in `X-API-Key`, and the account that follows from it.

Missing, malformed, unknown, revoked and expired keys look the same. A key in the query string is no
key. A key that is limited to devices may ask, and hears of those devices alone.
"""

from typing import Final

from punchgate import telemetry
from punchgate.contracts.manage_v1.errors import INVALID_KEY, MAY_NOT_READ, Refused
from punchgate.domain.key import Key
from punchgate.httpkit.edge import Edge, Scope
from punchgate.usecases import keys

_HEADER: Final = b"x-api-key"


async def find_key(edge: Edge, scope: Scope) -> Key:
    """Give the key of a request.

    Errors:  Refused; what the store raises.
    """
    presented = {value.strip() for name, value in scope["headers"] if name == _HEADER}
    key = None
    if len(presented) == 1:
        text = presented.pop().decode("latin-1")
        key = await keys.find(edge.context, text, now=edge.now())
    if key is None:
        telemetry.AUTH_FAILURES.labels("manage_v1").inc()
        raise Refused(INVALID_KEY)
    return key


def check_scope(key: Key) -> None:
    """Refuse a key that may not read events."""
    if not key.allows("events:read"):
        raise Refused(MAY_NOT_READ)
