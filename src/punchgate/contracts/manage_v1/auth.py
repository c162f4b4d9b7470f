"""Who calls manage v1: the key in `X-API-Key`, and the account that follows from it.

How it is read is `httpkit/api_key.py`. A key that is limited to devices may ask, and hears of
those devices alone.
"""

from punchgate.contracts.manage_v1.errors import INVALID_KEY, MAY_NOT_READ, Refused
from punchgate.domain.key import Key
from punchgate.httpkit import api_key
from punchgate.httpkit.edge import Edge, Scope


async def find_key(edge: Edge, scope: Scope) -> Key:
    """Give the key of a request.

    Errors:  Refused; what the store raises.
    """
    key = await api_key.find(edge, scope, "manage_v1")
    if key is None:
        raise Refused(INVALID_KEY)
    return key


def check_scope(key: Key) -> None:
    """Refuse a key that may not read events."""
    if not key.allows("events:read"):
        raise Refused(MAY_NOT_READ)
