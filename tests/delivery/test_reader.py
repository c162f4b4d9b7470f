"""The reader of answers: no socket, no loop; bytes in, an answer or a fault out.

The tables name how answers end, what a strict reader refuses, and how much it reads. That none of
it depends on how bytes were cut on their way is shown in test_reader_any.py, with any bytes at all.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import pytest

from punchgate.delivery.form import Answer
from punchgate.delivery.reader import (
    FRAMING,
    HEAD_BYTES_MAX,
    HEADERS_MAX,
    INTERIM_MAX,
    AnswerReader,
    Headers,
)

BODY_BYTES = 64


class Heard(NamedTuple):
    """What came of some bytes."""

    answer: Answer | None
    fault: str
    may_follow: bool
    read_bytes: int


def hear(pieces: Iterable[bytes], *, ends: bool = False, body_bytes: int = BODY_BYTES) -> Heard:
    """Feed pieces as a connection would: nothing after an answer or a fault."""
    reader = AnswerReader(body_bytes)
    return feed(reader, pieces, ends=ends)


def feed(reader: AnswerReader, pieces: Iterable[bytes], *, ends: bool) -> Heard:
    for piece in pieces:
        if reader.feed(piece):
            return Heard(reader.answer(), "", reader.may_follow, reader.read_bytes)
        if reader.fault:
            return Heard(None, reader.fault, may_follow=False, read_bytes=reader.read_bytes)
    if ends and reader.end():
        return Heard(reader.answer(), "", reader.may_follow, reader.read_bytes)
    return Heard(None, "", may_follow=False, read_bytes=reader.read_bytes)


def plain(answer: Answer | None) -> tuple[int, list[tuple[str, str]], bytes, bool] | None:
    """Give an answer as something that can be compared."""
    if answer is None:
        return None
    pairs = [(name, answer.headers[name]) for name in answer.headers]
    return answer.status, pairs, answer.body, answer.is_cut


def head(*fields: str, status: str = "HTTP/1.1 200 OK") -> bytes:
    return "\r\n".join([status, *fields, "", ""]).encode("latin-1")


CHUNKED = "Transfer-Encoding: chunked"


# How an answer ends, and what may come after it.

ENDS: Sequence[tuple[str, bytes, bool, bytes, bool]] = [
    # what it is · bytes · whether the connection ends behind them · body · whether it may stay
    ("a length", head("Content-Length: 2") + b"ok", False, b"ok", True),
    ("no body", head("Content-Length: 0"), False, b"", True),
    ("chunks", head(CHUNKED) + b"1\r\no\r\n1;x=y\r\nk\r\n0\r\n\r\n", False, b"ok", True),
    ("chunks over HTTP/1.0", head(CHUNKED, status="HTTP/1.0 200 OK") + b"0\r\n\r\n", False, b"",
     False),
    ("the end of the connection", head() + b"ok", True, b"ok", False),
    ("the same over HTTP/1.0", head(status="HTTP/1.0 200 OK") + b"ok", True, b"ok", False),
    ("the same, packed", head("Transfer-Encoding: gzip") + b"ok", True, b"ok", False),
    ("204", head(status="HTTP/1.1 204 No Content"), False, b"", True),
    ("304, of something long", head("Content-Length: 9", status="HTTP/1.1 304 Not Modified"), False,
     b"", True),
    ("a receiver that closes", head("Content-Length: 2", "Connection: close") + b"ok", False, b"ok",
     False),
    ("HTTP/1.0", head("Content-Length: 2", status="HTTP/1.0 200 OK") + b"ok", False, b"ok", False),
    ("HTTP/1.0 that is kept", head("Content-Length: 2", "Connection: keep-alive",
     status="HTTP/1.0 200 OK") + b"ok", False, b"ok", True),
    ("an upgrade that is offered", head("Content-Length: 2", "Connection: Upgrade", "Upgrade: h2c")
     + b"ok", False, b"ok", True),
    ("a packed body", head("Content-Length: 2", "Content-Encoding: gzip") + b"\x1f\x8b", False,
     b"\x1f\x8b", True),
    ("interim answers before it", head(status="HTTP/1.1 100 Continue") + head("Link: </a>",
     status="HTTP/1.1 103 Early Hints") + head("Content-Length: 2") + b"ok", False, b"ok", True),
    ("a body as long as it may be", head("Content-Length: 64") + b"x" * 64, False, b"x" * 64, True),
]  # fmt: skip


@pytest.mark.parametrize(
    ("data", "ends", "body", "may_follow"), [row[1:] for row in ENDS], ids=[row[0] for row in ENDS]
)
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_an_answer_ends_where_its_framing_says(
    data: bytes,
    ends: bool,  # noqa: FBT001 (a column of the table)
    body: bytes,
    may_follow: bool,  # noqa: FBT001 (the same)
    size: int,
) -> None:
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    heard = hear(pieces, ends=ends)
    assert heard.answer is not None
    assert (heard.answer.body, heard.answer.is_cut) == (body, False)
    assert "link" not in heard.answer.headers
    assert heard.may_follow == may_follow


BEHIND = [
    head("Content-Length: 0"),
    b"H",
    b"x",
    head("Content-Length: 6") + b"second",
    b"\0" * 100,
]


@pytest.mark.parametrize("behind", BEHIND)
@pytest.mark.parametrize(
    "answer", [head("Content-Length: 2") + b"ok", head(CHUNKED) + b"0\r\n\r\n"]
)
def test_bytes_behind_an_answer_change_nothing_of_it_and_end_the_connection(
    answer: bytes, behind: bytes
) -> None:
    alone, followed = hear([answer]), hear([answer + behind])
    assert plain(followed.answer) == plain(alone.answer)
    assert (alone.may_follow, followed.may_follow) == (True, False)


def test_a_body_behind_an_answer_that_has_none_is_not_taken_for_the_next_answer() -> None:
    smuggled = head("Content-Length: 2") + b"no"
    for status in ("204 No Content", "304 Not Modified"):
        first = head(f"Content-Length: {len(smuggled)}", status=f"HTTP/1.1 {status}")
        heard = hear([first + smuggled])
        assert heard.answer is not None
        assert (heard.answer.body, heard.may_follow) == (b"", False)


def test_one_reader_reads_one_answer_after_another() -> None:
    reader = AnswerReader(BODY_BYTES)
    for number in range(5):
        reader.begin()
        heard = feed(
            reader, [head(f"X: {number}", "Content-Length: 1") + b"%d" % number], ends=False
        )
        assert heard.answer is not None
        assert (heard.answer.headers["x"], heard.answer.body) == (str(number), b"%d" % number)


# What is no answer.

NO_ANSWERS = {
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    "RTSP": head("Content-Length: 0", status="RTSP/1.0 200 OK"),
    "ICE": head("Content-Length: 0", status="ICE/1.0 200 OK"),
    "HTTP/2": head("Content-Length: 0", "Connection: keep-alive", status="HTTP/2.0 200 OK"),
    "HTTP/0.9": head("Content-Length: 0", status="HTTP/0.9 200 OK"),
    "HTTP/2 behind an interim answer": head(status="HTTP/1.1 100 Continue")
    + head("Content-Length: 0", status="HTTP/2.0 200 OK"),
    "blank lines before it": b"\r\n" + head("Content-Length: 0"),
    "a status below 100": head("Content-Length: 0", status="HTTP/1.1 099 Early"),
    "a status of four digits": head("Content-Length: 0", status="HTTP/1.1 2000 OK"),
    "another protocol from here on": head(
        "Connection: upgrade", "Upgrade: x", status="HTTP/1.1 101 Switching Protocols"
    ),
    "the same without saying which": head(status="HTTP/1.1 101 Switching Protocols"),
    "a length and chunks": head("Content-Length: 3", CHUNKED) + b"0\r\n\r\n",
    "chunks and a length": head(CHUNKED, "Content-Length: 3") + b"0\r\n\r\n",
    "two lengths": head("Content-Length: 1", "Content-Length: 2") + b"ab",
    "a length of two numbers": head("Content-Length: 1, 2") + b"ab",
    "a length with a sign": head("Content-Length: +1") + b"a",
    "a length with a letter": head("Content-Length: 1a") + b"a",
    "a length beyond all numbers": head("Content-Length: " + "9" * 30) + b"a",
    "a chunk that is none": head(CHUNKED) + b"zz\r\n",
    "a chunk that is longer than it says": head(CHUNKED) + b"1\r\nab\r\n0\r\n\r\n",
    "a line without its return": head("Content-Length: 0").replace(b"\r\n", b"\n"),
    "a folded header": head("X: a", " b", "Content-Length: 0"),
    "a blank before the colon": head("X : a", "Content-Length: 0"),
    "a control character": head("X: a\x01b", "Content-Length: 0"),
    "a NUL": head("X: a\0b", "Content-Length: 0"),
    "a return in a header": head("X: a\rY: b", "Content-Length: 0"),
}


@pytest.mark.parametrize("data", NO_ANSWERS.values(), ids=NO_ANSWERS)
@pytest.mark.parametrize("size", [1, 100_000])
def test_what_a_strict_reader_refuses_is_a_fault(data: bytes, size: int) -> None:
    heard = hear([data[at : at + size] for at in range(0, len(data), size)], ends=True)
    assert (heard.answer, bool(heard.fault)) == (None, True)


UNFINISHED = {
    "nothing": b"",
    "half a status line": b"HTTP/1.1 20",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "half a body": head("Content-Length: 9") + b"half",
    "half a chunk": head(CHUNKED) + b"5\r\nhal",
    "chunks without the last": head(CHUNKED) + b"2\r\nok\r\n",
    "chunks without their last line": head("Transfer-Encoding: gzip", CHUNKED)
    + b"2\r\nok\r\n0\r\n",
    "an interim answer alone": head(status="HTTP/1.1 100 Continue"),
}


@pytest.mark.parametrize("data", UNFINISHED.values(), ids=UNFINISHED)
def test_a_connection_that_ends_in_the_middle_gives_no_answer(data: bytes) -> None:
    heard = hear([data], ends=True)
    assert (heard.answer, heard.fault) == (None, "")


# How much of it.


def padded(head_bytes: int) -> bytes:
    """Give an answer whose head is so long."""
    bare = head("X: ", "Content-Length: 0")
    return head("X: " + "x" * (head_bytes - len(bare)), "Content-Length: 0")


@pytest.mark.parametrize("size", [1, 4_096, 1_000_000])
@pytest.mark.parametrize(
    ("head_bytes", "is_read"), [(HEAD_BYTES_MAX, True), (HEAD_BYTES_MAX + 1, False)]
)
def test_a_head_is_read_up_to_32_kib(
    head_bytes: int,
    is_read: bool,  # noqa: FBT001 (a column of the table)
    size: int,
) -> None:
    data = padded(head_bytes)
    heard = hear([data[at : at + size] for at in range(0, len(data), size)])
    assert (heard.answer is not None, bool(heard.fault)) == (is_read, not is_read)


def test_what_stands_behind_the_longest_head_is_not_passed_over() -> None:
    heard = hear([padded(HEAD_BYTES_MAX) + b"x"])
    assert heard.answer is not None
    assert not heard.may_follow


@pytest.mark.parametrize(("count", "is_read"), [(HEADERS_MAX, True), (HEADERS_MAX + 1, False)])
def test_an_answer_has_at_most_200_headers(
    count: int,
    is_read: bool,  # noqa: FBT001 (a column of the table)
) -> None:
    heard = hear([head(*(f"X{n}: y" for n in range(count - 1)), "Content-Length: 0")])
    assert (heard.answer is not None) == is_read


@pytest.mark.parametrize(("count", "is_read"), [(INTERIM_MAX, True), (INTERIM_MAX + 1, False)])
def test_a_receiver_may_put_us_off_eight_times(
    count: int,
    is_read: bool,  # noqa: FBT001 (a column of the table)
) -> None:
    heard = hear([head(status="HTTP/1.1 102 Processing")] * count + [head("Content-Length: 0")])
    assert (heard.answer is not None) == is_read


def test_interim_answers_without_end_are_read_up_to_the_bound_of_the_head() -> None:
    one = head("X: " + "x" * 8_000, status="HTTP/1.1 102 Processing")
    assert hear([one] * 5).fault == f"the head is longer than {HEAD_BYTES_MAX} bytes"


ENDLESS = {
    "chunk extensions": b"1;" + b"x" * 100_000,
    "trailers": b"0\r\nX: " + b"x" * 100_000,
    "many trailers": b"0\r\n" + b"X: y\r\n" * 20_000,
    "one extension to each byte": (b"1;" + b"x" * 50 + b"\r\ny\r\n") * 2_000,
}


@pytest.mark.parametrize("behind", ENDLESS.values(), ids=ENDLESS)
@pytest.mark.parametrize("size", [1_000, 1_000_000])
def test_framing_without_end_is_a_fault(behind: bytes, size: int) -> None:
    data = head(CHUNKED) + behind
    heard = hear([data[at : at + size] for at in range(0, len(data), size)], body_bytes=1_000)
    assert heard.fault == "the answer is more framing than content"


def test_a_body_in_chunks_of_one_byte_is_no_more_framing_than_we_allow() -> None:
    data = head(CHUNKED) + b"1\r\nx\r\n" * 1_000 + b"0\r\n\r\n"
    heard = hear([data], body_bytes=1_000)
    assert heard.answer is not None
    assert (heard.answer.body, heard.may_follow) == (b"x" * 1_000, True)
    assert FRAMING > 6


@pytest.mark.parametrize("size", [1, 100_000])
@pytest.mark.parametrize(
    "data",
    [
        head("Content-Length: 65") + b"x" * 65,
        head() + b"x" * 65,
        head(CHUNKED) + b"41\r\n" + b"x" * 65 + b"\r\n0\r\n\r\n",
        head(CHUNKED) + b"1\r\nx\r\n" * 65 + b"0\r\n\r\n",
    ],
)
def test_a_body_that_is_too_long_is_cut_and_the_connection_not_kept(data: bytes, size: int) -> None:
    heard = hear([data[at : at + size] for at in range(0, len(data), size)])
    assert heard.answer is not None
    assert (heard.answer.body, heard.answer.is_cut) == (b"x" * BODY_BYTES, True)
    assert not heard.may_follow


# Headers.


def test_headers_are_found_in_any_case_and_the_first_of_a_name_counts() -> None:
    headers = Headers([(b"Retry-After", b"7"), (b"X", b""), (b"retry-after", b"8")])
    assert (headers["RETRY-AFTER"], headers.get("retry-after"), headers["x"]) == ("7", "7", "")
    assert headers.every("Retry-After") == ["7", "8"]
    assert (list(headers), len(headers)) == (["retry-after", "x"], 2)
    assert ("Retry-after" in headers, "y" in headers, headers.get("y")) == (True, False, None)
    with pytest.raises(KeyError):
        headers["y"]


def test_trailers_do_not_pass_for_headers() -> None:
    trailers = b"0\r\nSet-Cookie: a=b\r\nRetry-After: 9\r\n\r\n"
    heard = hear([head(CHUNKED, "X: y") + trailers])
    assert heard.answer is not None
    assert dict(heard.answer.headers) == {"transfer-encoding": "chunked", "x": "y"}
    assert heard.may_follow
