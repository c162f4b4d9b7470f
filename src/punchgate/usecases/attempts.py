"""The delivery log: how long an attempt is kept."""

from collections.abc import Callable
from functools import partial
from typing import Final

from punchgate.store import cursors
from punchgate.usecases.context import Context

_DAY_MS: Final = 86_400_000
#: Attempts of one transaction, so that no punch waits long behind it.
_SOME: Final = 1_000


async def prune(
    context: Context, now: Callable[[], int], *, accepted_days: int, failed_days: int
) -> None:
    """Forget attempts that are older than they are kept.

    What is old is found by reading; the writer gets only what is to be deleted, in small pieces.
    """
    for is_accepted, days in ((True, accepted_days), (False, failed_days)):
        before = now() - days * _DAY_MS
        last = await context.database.read(partial(cursors.last_before, at=before))
        forget = partial(cursors.prune, last=last, is_accepted=is_accepted, most=_SOME)
        while last and await context.writer.run(forget):
            pass
