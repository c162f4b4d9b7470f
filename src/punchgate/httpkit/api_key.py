"""The key in `X-API-Key`: the one place that reads that header for the contracts with keys alone.

Missing, malformed, unknown, revoked and expired keys look the same. A key in the query string is no
key, and neither are two different ones. What a key may do is the contract's to say.
"""

from typing import Final

from punchgate import telemetry
from punchgate.domain.key import Key
from punchgate.httpkit.edge import Edge, Scope
from punchgate.usecases import keys

_HEADER: Final = b"x-api-key"


async def find(edge: Edge, scope: Scope, contract: str) -> Key | None:
    """Give the key of a request; where there is none, that is counted for the contract.

    Errors:  what the store raises.
    """
    presented = {value.strip() for name, value in scope["headers"] if name == _HEADER}
    key = None
    if len(presented) == 1:
        text = presented.pop().decode("latin-1")
        key = await keys.find(edge.context, text, now=edge.now())
    if key is None:
        telemetry.AUTH_FAILURES.labels(contract).inc()
    return key
