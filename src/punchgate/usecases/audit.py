"""One way to change something: write it, raise the revision, leave one entry, in one commit.

Every verb that changes an account, a device, a key, a person or a policy ends in `note`. Listing is
for operators.
"""

from collections.abc import Sequence
from typing import Final

from punchgate.domain.ids import AccountNo
from punchgate.store import audit, installation
from punchgate.store.audit import Entry
from punchgate.store.database import Connection
from punchgate.usecases.context import Context

__all__ = ["MOST", "Entry", "list_entries", "note"]

#: Entries that one question may ask for.
MOST: Final = 10_000


def note(tx: Connection, account: AccountNo, entry: Entry) -> None:
    """Leave an entry in the transaction of its change, and tell every process to look again."""
    installation.bump(tx)
    audit.append(tx, account, entry)


async def list_entries(
    context: Context, account: AccountNo, *, limit: int = 100
) -> Sequence[Entry]:
    """List the latest changes of an account, newest first."""
    bounded = min(limit, MOST)
    return await context.database.read(lambda tx: audit.list_entries(tx, account, limit=bounded))
