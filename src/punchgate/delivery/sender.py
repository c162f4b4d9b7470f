"""The only HTTP client: one POST to one receiver, and what came back.

It answers for where we connect to. A connection is made to an address that the guard gave, by its
number, and is used again for nobody but who asks for the same scheme, host and port: the address
that was checked is the address that is connected to. A request is built from the parts that
`domain/target.py` read; no other parser sees the text. Redirects are not followed, proxies of the
environment not used, bodies not unpacked, certificates always verified.

It does not decide what an answer means, when to try again or what to send: that is the worker's,
the schedule's and the formats'. Why it is not built on a library: docs/decisions/0017.
"""

import asyncio
import ssl
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Self, cast

from punchgate.delivery import request
from punchgate.delivery.connection import Connection, Kind, SendFailed, cause
from punchgate.delivery.cookies import CookieJar
from punchgate.delivery.form import Answer
from punchgate.delivery.guard import Guard, NotAllowed, Resolve
from punchgate.delivery.pool import Limits, Pool
from punchgate.delivery.reader import Headers, line
from punchgate.domain.target import NOT_ALLOWED, Rules, Target

__all__ = ["CookieJar", "Kind", "Limits", "Resolve", "SendFailed", "Sender"]

#: Of more addresses than these the rest is not tried: each gets its share of the time.
_TRIED_MAX: Final = 4
#: How long a receiver may take to say goodbye in TLS before we hang up.
_GOODBYE_S: Final = 1.0


class Sender:
    """Sends requests; one for the whole process, opened and closed with `async with`.

    Concurrency:  any number of `send` at once; how many is the worker's decision.
    """

    def __init__(
        self,
        rules: Rules,
        monotonic: Callable[[], float],
        *,
        ca_file: Path | None = None,
        resolve: Resolve | None = None,
        limits: Limits = Limits(),  # noqa: B008 (immutable)
    ) -> None:
        """Prepare; `ca_file` holds certificates to trust beside those of the system.

        Errors:  OSError and ssl.SSLError when that file cannot be read or is none.
        """
        self.rules = rules
        self._limits = limits
        self._guard = Guard(rules, resolve)
        self._pool = Pool(limits, monotonic)
        self._tls = ssl.create_default_context()
        self._tls.set_alpn_protocols(["http/1.1"])
        if ca_file is not None:
            self._tls.load_verify_locations(cafile=ca_file)

    async def __aenter__(self) -> Self:
        # Kept, because to ask which loop runs is a system call each time.
        self._loop = asyncio.get_running_loop()
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._guard.close()
        await self._pool.close()

    async def send(
        self,
        target: Target,
        body: bytes,
        headers: Mapping[str, str],
        *,
        jar: CookieJar | None,
        limit_s: float | None = None,
    ) -> Answer:
        """Post these bytes with these headers, and give the answer whatever its status.

        Shapes:  `target` was read by `target.read` for this attempt. Header names are in lower
                 case; `host` and `content-length` are ours.
        Errors:  SendFailed, within `limit_s` seconds (None: 15). ValueError for a header that
                 cannot be sent.
        Repeating:  nothing is sent twice here.
        """
        if jar is not None and (cookies := jar.header(target)):
            headers = {**headers, "cookie": cookies}
        written = request.write(target, headers, body)
        if limit_s is None:
            limit_s = self._limits.whole_s
        until = self._loop.time() + limit_s
        try:
            connection = self._pool.take(target[:3]) or await self._open(target, until)
            answer = await connection.ask(written, until)
        except TimeoutError:
            raise SendFailed("timeout", f"no whole answer within {limit_s:g} s") from None
        self._pool.give(connection)
        if jar is not None:
            jar.remember(target, cast("Headers", answer.headers))
        return answer

    async def _open(self, target: Target, until: float) -> Connection:
        """Make a connection to where the target leads now.

        Errors:  SendFailed; TimeoutError where the whole attempt has no more time.
        """
        by = min(self._loop.time() + self._limits.connect_s, until)
        try:
            async with asyncio.timeout_at(by):
                addresses = await self._guard.addresses(target)
                connection = await self._connect(target, addresses[:_TRIED_MAX], by)
        except NotAllowed as error:
            raise SendFailed("refused_address", NOT_ALLOWED, was_sent=False) from error
        except ssl.SSLError as error:
            raise SendFailed("tls", line(error), was_sent=False) from error
        except TimeoutError:
            if by == until:
                raise
            detail = f"no connection within {self._limits.connect_s:g} s"
            raise SendFailed("timeout", detail, was_sent=False) from None
        except OSError as error:
            raise SendFailed("connect", cause(error), was_sent=False) from error
        self._pool.add(connection)
        return connection

    async def _connect(self, target: Target, addresses: Sequence[str], by: float) -> Connection:
        """Try one address after another; a receiver that shows a wrong certificate is the last."""
        left = len(addresses)
        for address in addresses[:-1]:
            try:
                share_s = (by - self._loop.time()) / left
                async with asyncio.timeout(share_s):
                    return await self._connect_to(target, address)
            except ssl.SSLError:
                raise
            except OSError:
                left -= 1
        return await self._connect_to(target, addresses[-1])

    async def _connect_to(self, target: Target, address: str) -> Connection:
        is_tls = target.scheme == "https"
        _, connection = await self._loop.create_connection(
            self._pool.prepare(target[:3]),
            host=address,
            port=target.port,
            ssl=self._tls if is_tls else None,
            server_hostname=target.host if is_tls else None,
            ssl_shutdown_timeout=_GOODBYE_S if is_tls else None,
        )
        return connection
