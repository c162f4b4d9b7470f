"""An answer, read from bytes as they come.

It answers for what is taken as an answer, and for how much of it is held. llhttp reads strictly;
what it leaves open is decided here: other protocols and versions are refused, interim answers
passed over, trailers kept out of the headers, and head, body and framing each have a bound that
does not depend on how the bytes were cut on their way. It does no I/O and knows no time; what an
answer means is the formats' decision.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import httptools

from punchgate.delivery.form import Answer

#: Status lines and headers of an answer and of the interim answers before it, in bytes.
HEAD_BYTES_MAX: Final = 32_768
HEADERS_MAX: Final = 200
INTERIM_MAX: Final = 8
#: What comes after the head may be so many times as long as the body may be. A body in chunks of
#: one byte is six times as long as its content; chunk extensions and trailers have no end at all.
FRAMING: Final = 8

# llhttp takes RTSP, ICE and other versions of HTTP as well.
_VERSIONS: Final = (b"HTTP/1.1", b"HTTP/1.0")
_LEAD_BYTES: Final = 8
_DETAIL_MAX: Final = 300


class Headers(Mapping[str, str]):
    """The headers of an answer; names in any case. Of one that came more than once, the first.

    They are decoded when they are asked for, which of most answers nobody does.
    """

    __slots__ = ("_fields",)

    def __init__(self, fields: Sequence[tuple[bytes, bytes]]) -> None:
        self._fields = fields

    def __getitem__(self, name: str) -> str:
        found = self.every(name)
        if not found:
            raise KeyError(name)
        return found[0]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name.lower().decode("ascii") for name, _ in self._fields))

    def __len__(self) -> int:
        return len({name.lower() for name, _ in self._fields})

    def every(self, name: str) -> list[str]:
        """Give all values of a name, in their order."""
        wanted = name.lower().encode()
        # Bytes that are no UTF-8 survive the way back, where they are a cookie's.
        return [
            text.decode("utf-8", "surrogateescape")
            for each, text in self._fields
            if each.lower() == wanted
        ]


class AnswerReader:
    """Reads one answer after another; `begin` before each.

    Errors:  none; what cannot be an answer is a `fault`.
    """

    def __init__(self, body_bytes: int) -> None:
        self._body_bytes = body_bytes
        self._all_bytes = HEAD_BYTES_MAX + FRAMING * body_bytes
        self._parser = httptools.HttpResponseParser(self)
        self.begin()

    def begin(self) -> None:
        """Forget the last answer; what comes now belongs to the next."""
        #: Why this is no answer; empty while it may become one.
        self.fault = ""
        self.read_bytes = 0
        self._lead = b""
        self._interims = 0
        #: 0 until the head of the answer is there, which interim answers are not.
        self._status = 0
        self._fields: list[tuple[bytes, bytes]] = []
        #: Those behind are trailers, which may not pass for headers.
        self._own_fields = 0
        self._parts: list[bytes] = []
        self._size_bytes = 0
        self._is_complete = False
        self._may_follow = False

    def feed(self, data: bytes) -> bool:
        """Read on; say whether there is an answer now. Nothing is fed after that, or a fault."""
        if len(self._lead) < _LEAD_BYTES:
            self._lead += data[: _LEAD_BYTES - len(self._lead)]
        before = self.read_bytes
        self.read_bytes += len(data)
        if self.read_bytes <= (self._all_bytes if self._status else HEAD_BYTES_MAX):
            self._parse(data)
        else:
            self._parse_to_bound(data, before)
        return (self._is_complete or self._is_cut) and not self.fault

    def end(self) -> bool:
        """Say whether there is an answer now that nothing more comes."""
        if self.fault or not self._status:
            return False
        # The parser knows whether the body has another end, and has no word for it.
        headers = Headers(self._fields[: self._own_fields])
        coding = ",".join(headers.every("transfer-encoding")).rpartition(",")[2]
        self._may_follow = False
        return coding.strip().lower() != "chunked" and "content-length" not in headers

    def answer(self) -> Answer:
        """Give what was read; its headers are `Headers`."""
        headers = Headers(self._fields[: self._own_fields])
        body = b"".join(self._parts)[: self._body_bytes]
        return Answer(self._status, headers, body, self._is_cut)

    @property
    def may_follow(self) -> bool:
        """Whether another answer may come over the same connection: this one left no doubts."""
        return self._is_complete and self._may_follow and not self._is_cut

    def close(self) -> None:
        """Let go of the parser, which holds us as we hold it."""
        del self._parser

    # What the parser calls:

    def on_message_begin(self) -> None:
        """Notice an answer behind the answer."""
        if self._is_complete:
            self._may_follow = False

    def on_header(self, name: bytes, text: bytes) -> None:
        """Keep a header, or a trailer."""
        self._fields.append((name, text))

    def on_headers_complete(self) -> None:
        """Decide whether this is the head of an answer."""
        if self._is_complete:
            return
        status = self._parser.get_status_code()
        if self._lead not in _VERSIONS or (
            self._interims and self._parser.get_http_version() not in {"1.1", "1.0"}
        ):
            self.fault = "the answer is not HTTP/1.1"
        elif len(self._fields) > HEADERS_MAX:
            self.fault = f"the answer has more than {HEADERS_MAX} headers"
        elif status >= 200:
            self._status = status
            self._own_fields = len(self._fields)
            self._may_follow = self._parser.should_keep_alive()
        elif status < 100 or status == 101 or self._interims >= INTERIM_MAX:
            self.fault = f"the answer is a {status}, which nobody asked for"

    def on_body(self, part: bytes) -> None:
        """Keep a part of the body, and no more of them than make it too long."""
        if self._is_complete:
            return
        if not self._is_cut:
            self._parts.append(part)
        self._size_bytes += len(part)

    def on_message_complete(self) -> None:
        """End the answer, or pass over an interim one."""
        if self._status:
            self._is_complete = True
        else:
            self._interims += 1
            self._fields.clear()

    # The rest is ours:

    @property
    def _is_cut(self) -> bool:
        return self._size_bytes > self._body_bytes

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._may_follow = False
            if not self._is_complete:
                self.fault = self.fault or line(error)

    def _parse_to_bound(self, data: bytes, before: int) -> None:
        """Parse no byte more than the bounds allow."""
        if not self._status:
            room = HEAD_BYTES_MAX - before
            self._parse(data[:room])
            data, before = data[room:], HEAD_BYTES_MAX
            if not self._status:
                self.fault = self.fault or f"the head is longer than {HEAD_BYTES_MAX} bytes"
                return
        room = self._all_bytes - before
        if not self._is_complete:
            self._parse(data[:room])
            data = data[room:]
        if data:
            self._may_follow = False
            if not (self._is_complete or self._is_cut):
                self.fault = self.fault or "the answer is more framing than content"


def line(text: object) -> str:
    """Write what another program said as one short line."""
    return " ".join(str(text).split())[:_DETAIL_MAX]
