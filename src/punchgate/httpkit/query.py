"""The parameters of a query string.

What they mean, and which of them may be given twice, is the contract's.
"""

from urllib.parse import parse_qsl

from punchgate.httpkit.edge import Scope


def read(scope: Scope) -> dict[str, list[str]]:
    """Give the values of each parameter, in their order; one without a value counts as not given.

    Bytes that are not UTF-8, and NUL, which no database takes, become U+FFFD, which no parameter of
    ours is written with.
    """
    values: dict[str, list[str]] = {}
    for name, value in parse_qsl(scope["query_string"].decode("latin-1")):
        values.setdefault(name, []).append(value.replace("\0", "\ufffd"))
    return values
