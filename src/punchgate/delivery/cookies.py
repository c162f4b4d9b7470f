"""What a receiver asked us to remember: the cookies of one endpoint, in memory.

Some receivers refuse the first contact and give a session with the refusal; the next attempt brings
it along. A jar belongs to one endpoint and one address and is shared with nobody; it forgets
everything when the address changes and when the process ends. How cookies are matched, expired and
written is aiohttp's.
"""

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from punchgate.delivery.reader import Headers
from punchgate.domain.target import Target

if TYPE_CHECKING:
    import aiohttp
    from yarl import URL

#: As many as RFC 6265, 6.1 asks of every client; a receiver needs one or two.
COOKIES_MAX: Final = 50
#: Name, value and attributes of one, in bytes.
COOKIE_BYTES_MAX: Final = 4_096
# Many take a cookie back with the first second of 1970, which aiohttp 3.14 reads as no date at all.
_EPOCH: Final = re.compile(r"(01[ -]Jan[ -](?:19)?70 00:00:0)0")


class _Place(NamedTuple):
    """What must stay the same for cookies to be sent again; the query may differ."""

    scheme: str
    host: str
    port: int
    path: str


class CookieJar:
    """The cookies of one endpoint.

    Concurrency:  requests of one endpoint may share it; each call is whole in itself.
    """

    def __init__(self) -> None:
        self._made: aiohttp.CookieJar | None = None
        self._place: _Place | None = None

    def __len__(self) -> int:
        return 0 if self._made is None else len(self._made)

    @property
    def _jar(self) -> "aiohttp.CookieJar":
        if self._made is None:
            # An eighth of a server's start, for what few receivers send.
            import aiohttp  # noqa: PLC0415 (above)

            # Receivers in a private network are often known by their address alone, which aiohttp
            # keeps no cookies for unless told: with one endpoint to a jar nobody else's can be sent
            # there.
            self._made = aiohttp.CookieJar(unsafe=True, quote_cookie=False)
        return self._made

    def header(self, target: Target) -> str:
        """Give the `Cookie` header for a request; empty where there is nothing to send."""
        if self._place is None:
            return ""
        self._stay(target)
        if not len(self):
            return ""
        # What goes back is what came, quotes included; aiohttp would write it in its own way.
        sent = {(morsel.key, morsel.value): morsel.coded_value for morsel in self._jar}
        found = self._jar.filter_cookies(_url(target)).values()
        return "; ".join(f"{each.key}={sent[each.key, each.value]}" for each in found)

    def remember(self, target: Target, headers: Headers) -> None:
        """Take in the `Set-Cookie` headers of an answer; what is too large or too many is not."""
        lines = headers.every("set-cookie")
        if not lines:
            return
        self._stay(target)
        for line in lines[:COOKIES_MAX]:
            if len(line) <= COOKIE_BYTES_MAX:
                self._jar.update_cookies_from_headers([_EPOCH.sub(r"\g<1>1", line)], _url(target))
        while len(self._jar) > COOKIES_MAX:
            self._drop_oldest()

    def _stay(self, target: Target) -> None:
        place = _Place(*target[:3], target.path_query.partition("?")[0])
        if place != self._place:
            self._jar.clear()
            self._place = place

    def _drop_oldest(self) -> None:
        oldest = next(iter(self._jar))
        self._jar.clear(lambda morsel: morsel is oldest)


@lru_cache(maxsize=1_024)
def _url(target: Target) -> "URL":
    from yarl import URL  # noqa: PLC0415 (comes with aiohttp, see above)

    host = f"[{target.host}]" if ":" in target.host else target.host
    path, _, query = target.path_query.partition("?")
    return URL.build(
        scheme=target.scheme,
        host=host,
        port=target.port,
        path=path,
        query_string=query,
        encoded=True,
    )
