"""Problems: what an operator should look at. Who finds one raises it, where it is found.

At most one is open of a kind and a subject; it is cleared by whoever finds it gone.
"""

from collections.abc import Sequence
from typing import Final

from punchgate.domain.ids import AccountNo
from punchgate.store import problems
from punchgate.store.problems import Problem
from punchgate.usecases.context import Context

__all__ = ["MOST", "Problem", "list_problems"]

#: Rows of one list.
MOST: Final = 10_000


async def list_problems(
    context: Context, account: AccountNo, *, only_open: bool = True, limit: int = 1_000
) -> Sequence[Problem]:
    """List what is wrong in an account, what was raised last first; or also what was."""
    bounded = min(limit, MOST)
    return await context.database.read(
        lambda tx: problems.list_problems(tx, account, only_open=only_open, limit=bounded)
    )
