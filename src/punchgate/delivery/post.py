"""One request to a receiver: rendered, signed, sent, and what came of it.

The one way out for live events, replays and test events alike.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from punchgate import telemetry
from punchgate.delivery import form, schedule
from punchgate.delivery.form import Answer, Attempt, Format, Rendered, Unrendered
from punchgate.delivery.schedule import Meaning
from punchgate.delivery.sender import CookieJar, Sender, SendFailed
from punchgate.domain import target
from punchgate.domain.endpoint import Endpoint
from punchgate.domain.event import Entry
from punchgate.domain.target import AddressRefused, Target

#: How much of an answer is kept, in bytes, and of which share of the acknowledged ones.
KEPT_BYTES: Final = 4_096
KEPT_SHARE: Final = 0.01
#: Addresses that are remembered of an endpoint whose format names the device in it.
TARGETS: Final = 10_000


class Result(NamedTuple):
    """What came of one request."""

    meaning: Meaning
    status: int | None
    ms: int
    #: Why it is no acknowledgement, in words; None where it is one.
    error: str | None
    #: The head of the answer, where it is kept.
    answer: str | None
    #: Of a batch that was taken: the events that were not, each with its reason.
    refused: Mapping[str, str] = {}


@dataclass(slots=True)
class Post:
    """An endpoint's way out; made anew when its settings change."""

    endpoint: Endpoint
    account: str
    form: Format
    sender: Sender
    jar: CookieJar | None
    now: Callable[[], int]
    #: Which share of the answers that are acknowledgements is kept.
    kept_share: float = KEPT_SHARE
    _targets: dict[tuple[tuple[str, str], ...], Target] = field(default_factory=dict)

    @property
    def most(self) -> int:
        """How many events may share a request."""
        if self.form.render_batch is None:
            return 1
        return min(self.endpoint.pace.batch_max, self.form.batch_max)

    def compose(self, entries: Sequence[Entry]) -> Rendered | Unrendered | None:
        """Give the request of some events; None where the format has nothing to say of them."""
        try:
            if self.most > 1 and self.form.render_batch is not None:
                return self.form.render_batch(entries, self.endpoint, self.account)
            return self.form.render(entries[0], self.endpoint, self.account)
        except Exception as error:  # noqa: BLE001 (one event must not hold up the endpoint's others)
            telemetry.failed("delivery", entries[0].id, error)
            return Unrendered(f"render_failed: {type(error).__name__}")

    async def send(
        self,
        rendered: Rendered | Unrendered,
        entries: Sequence[Entry],
        *,
        n: int,
        replay: str | None = None,
    ) -> Result:
        """Send what was composed of some events; every failure is a result."""
        if isinstance(rendered, Unrendered):
            return Result(Meaning("unsent"), None, 0, rendered.error, None)
        at = self.now()
        elapsed = telemetry.stopwatch()
        if self.most > 1:
            attempt = Attempt(form.batch_id(entries), "batch", at, n, replay)
        else:
            attempt = Attempt(entries[0].id, entries[0].type, at, n, replay)
        try:
            headers = self.form.sign(rendered, attempt, self.endpoint)
            target_now = self._target(rendered.query)
            answer = await self.sender.send(target_now, rendered.content, headers, jar=self.jar)
        except AddressRefused as error:
            return _failed(SendFailed("refused_address", str(error)), elapsed())
        except SendFailed as error:
            return _failed(error, elapsed())
        except Exception as error:  # noqa: BLE001 (one event must not hold up the endpoint's others)
            telemetry.failed("delivery", entries[0].id, error)
            return Result(Meaning("unsent"), None, 0, f"send_failed: {type(error).__name__}", None)
        return self._answered(answer, entries, at, elapsed())

    def _target(self, query: tuple[tuple[str, str], ...]) -> Target:
        """Read the address by the rules in force; the addresses behind a name are asked anew."""
        found = self._targets.get(query)
        if found is None:
            found = target.read(self.endpoint.address, self.sender.rules)
            if query:
                found = target.with_query(found, query)
            if len(self._targets) >= TARGETS:
                self._targets.clear()
            self._targets[query] = found
        return found

    def _answered(
        self, answer: Answer, entries: Sequence[Entry], at: int, seconds: float
    ) -> Result:
        verdict = self.form.accepted(answer, entries, self.endpoint)
        meaning = schedule.read(answer.status, answer.headers, at, is_accepted=verdict.is_accepted)
        is_kept = not verdict.is_accepted or random.random() < self.kept_share  # noqa: S311 (a sample)
        return Result(
            meaning,
            answer.status,
            _ms(seconds),
            None if verdict.is_accepted else _fit(verdict.reason),
            _fit(answer.body[:KEPT_BYTES].decode("utf-8", "replace")) if is_kept else None,
            {name: _fit(reason) for name, reason in verdict.refused.items()},
        )


def _failed(error: SendFailed, seconds: float) -> Result:
    meaning = schedule.failed(error.kind, was_sent=error.was_sent)
    return Result(meaning, None, _ms(seconds), str(error), None)


def _fit(said: str) -> str:
    """Leave out of what a receiver said what no database takes: NUL, and halves of characters."""
    return said.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
