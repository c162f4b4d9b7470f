"""What the facade cannot serve, told to an operator as problems.

The facade reads and cannot write; what it found reaches this module through `app.py`. A finding is
written when it is new, when it is gone, and once an hour while it lasts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from punchgate.domain.ids import AccountNo, DeviceId, PunchId
from punchgate.store import problems, terminal_view
from punchgate.store.database import Connection
from punchgate.usecases.context import Context

#: Counting further back takes longer than the number is worth.
COUNTED: Final = 1_000_000
_AGAIN_MS: Final = 3_600_000

UNFIT: Final = "facade.not_served"
LONG: Final = "facade.codes_cut"
CUT: Final = "facade.left_out"
NOBODY: Final = "facade.no_device"
_KINDS: Final = (UNFIT, LONG, CUT, NOBODY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What one snapshot left out.

    Shapes:  `devices` None means all of the account; `cut_at` is the oldest punch that is served
             where there are older ones.
    """

    unfit: int = 0
    long: int = 0
    times: int = 0
    cut_at: PunchId | None = None
    devices: frozenset[DeviceId] | None = None


class Notices:
    """The findings of one facade, as far as they were written."""

    def __init__(
        self, context: Context, account: AccountNo, scope: str, now: Callable[[], int]
    ) -> None:
        self._context = context
        self._account = account
        self._subject = f"facade:{scope}"
        self._now = now
        self._written: tuple[object, ...] | None = None
        self._written_at = 0

    async def note(self, found: Findings) -> None:
        """Raise what was found, and clear what was not.

        Errors:  StoreBusy, StoreUnavailable.
        """
        # What moves with every punch is no news by itself.
        told = (found.unfit, found.long, found.times, found.cut_at is None, found.devices)
        now = self._now()
        if told == self._written and now - self._written_at < _AGAIN_MS:
            return
        older = 0
        if found.cut_at is not None:
            cut_at = found.cut_at
            older = await self._context.database.read(
                lambda tx: terminal_view.count_before(
                    tx, self._account, cut_at, found.devices, among=COUNTED
                )
            )
        sentences = _sentences(found, older)
        await self._context.writer.run(lambda tx: self._write(tx, sentences, now))
        self._written, self._written_at = told, now

    def _write(self, tx: Connection, sentences: dict[str, str], now: int) -> None:
        for kind in _KINDS:
            detail = sentences.get(kind)
            if detail is None:
                problems.clear(tx, self._account, kind, subject=self._subject, now=now)
            else:
                problems.raise_(
                    tx, self._account, kind, subject=self._subject, detail=detail, now=now
                )


def _sentences(found: Findings, older: int) -> dict[str, str]:
    """Say what each problem is; numbers only, because a problem outlives an erased person."""
    sentences = {}
    unserved = []
    if found.unfit:
        unserved.append(
            f"{found.unfit} people cannot be served to terminal software: their user code is not"
            " ASCII or is longer than 24 characters, or they come after the 65,535th."
        )
    if found.times:
        unserved.append(f"{found.times} punches have a year that no terminal's clock has.")
    if unserved:
        sentences[UNFIT] = " ".join(unserved)
    if found.long:
        sentences[LONG] = (
            f"{found.long} people have a user code of 10 to 24 characters: node-zklib and zkteco-js"
            " cut it after nine."
        )
    if older:
        number = f"{older:,}" + (" or more" if older == COUNTED else "")
        sentences[CUT] = (
            f"{number} older punches are left out: a terminal's log has an end (facade.max_rows)."
            " Narrow the scope to show them."
        )
    if found.devices is not None and not found.devices:
        sentences[NOBODY] = "No device is in the scope, so nothing is shown."
    return sentences
