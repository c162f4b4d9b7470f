"""What the answer to an attempt means, and when the next one is due. Pure.

answer                                        outcome     whose fault         next
2xx, and the format takes it for a yes        accepted                        the key's next
410                                           gone        the endpoint's      disabled
429, any answer with Retry-After,             backoff     the endpoint's      it waits, uncounted
an address that is not allowed
502 503 504, timeout, connection, TLS         slow        the endpoint's,     slower, uncounted
                                                          the key's if others
                                                          were just accepted
everything else, 3xx too                      refused     the key's           a step of the
                                                                              schedule
none: no request could be made of the event   unsent      the key's; it       the same
                                                          says nothing of
                                                          the endpoint
"""

from collections.abc import Mapping, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from math import ceil
from typing import Final, Literal, NamedTuple

Outcome = Literal["accepted", "refused", "slow", "backoff", "gone", "unsent"]

#: How early or late a step may be, so that a thousand keys do not come back in one second.
JITTER: Final = 0.2
#: What a receiver may ask for by Retry-After, in seconds.
SHORTEST_S: Final = 1
LONGEST_S: Final = 86_400
#: When a failing endpoint is probed, in seconds after each other; the last one for ever.
PROBES_S: Final = (5, 30, 60, 300)
#: An endpoint that asks for patience without saying how much.
PATIENCE_S: Final = 5

_SLOW: Final = frozenset({502, 503, 504})
_GONE: Final = 410
_TOO_MANY: Final = 429


class Meaning(NamedTuple):
    """What came of an attempt; `wait_s` is what the receiver asked for.

    `is_away`: nothing was sent, because there was no connection; no event is to blame for that.
    """

    outcome: Outcome
    wait_s: int | None = None
    is_away: bool = False


def read(status: int, headers: Mapping[str, str], now: int, *, is_accepted: bool) -> Meaning:
    """Say what an answer means; `now` is milliseconds since 1970-01-01 UTC."""
    if is_accepted:
        return Meaning("accepted")
    if status == _GONE:
        return Meaning("gone")
    wait_s = retry_after(headers.get("Retry-After"), now)
    if wait_s is not None or status == _TOO_MANY:
        return Meaning("backoff", wait_s)
    return Meaning("slow" if status in _SLOW else "refused")


def failed(kind: str, *, was_sent: bool = True) -> Meaning:
    """Say what it means that there was no answer (`sender.SendFailed.kind`)."""
    if kind == "refused_address":
        return Meaning("backoff", PROBES_S[-1])
    if kind == "broken":
        return Meaning("refused")
    return Meaning("slow", is_away=not was_sent)


def retry_after(text: str | None, now: int) -> int | None:
    """Read seconds or an HTTP date, within a second and a day; None where it says nothing."""
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        # More digits than any real wait has would only be slow to read.
        wait_s = int(text[:9])
    else:
        try:
            moment = parsedate_to_datetime(text)
        except (ValueError, OverflowError):
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        wait_s = ceil(moment.timestamp() - now / 1000)
    return min(max(wait_s, SHORTEST_S), LONGEST_S)


def step_ms(schedule_s: Sequence[int], attempt: int, share: float) -> int | None:
    """Say how long to wait after the attempt with this number; None when they are used up.

    Units:   `attempt` counts from 1; `share` is a random number from 0 to 1.
    """
    if attempt > len(schedule_s):
        return None
    return int(schedule_s[attempt - 1] * 1000 * (1 - JITTER + 2 * JITTER * share))


def patience_ms(wait_s: int, share: float) -> int:
    """Say how long to wait where a receiver named the time: never less, a fifth more at most."""
    return int(wait_s * 1000 * (1 + JITTER * share))


def probe_ms(probes: int) -> int:
    """Say how long after a failing endpoint's last probe the next one is due."""
    return PROBES_S[min(probes, len(PROBES_S) - 1)] * 1000
