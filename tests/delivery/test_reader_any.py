"""Any bytes, cut in any way: what a reader of answers owes whoever feeds it.

Two properties: whatever comes, it ends in an answer or a fault with a bounded memory; and how the
bytes were cut on their way changes nothing.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from punchgate.delivery.reader import FRAMING, HEAD_BYTES_MAX, AnswerReader
from tests.delivery.test_reader import BODY_BYTES, CHUNKED, feed, head, hear, plain

#: The longest of the pieces below; a reader may hold one more than its bounds allow.
PIECE_MAX = 4_096
CUTS = st.lists(st.integers(0, 2_000), max_size=12)


def cut(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    places = [0, *sorted(place for place in cuts if place < len(data)), len(data)]
    return [data[a:b] for a, b in pairwise(places)]


TOKENS = st.text("abcdefXYZ-", min_size=1, max_size=8).map(lambda text: f"x-{text}")
TEXTS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=12)


class Sent(NamedTuple):
    """A valid answer as bytes, and what it says."""

    data: bytes
    ends: bool
    status: int
    fields: list[tuple[str, str]]
    body: bytes


@st.composite
def valid_answers(draw: st.DrawFn) -> Sent:
    interim = head(status="HTTP/1.1 103 Early Hints") * draw(st.integers(0, 3))
    status = draw(st.sampled_from([200, 201, 404, 500, 799]))
    fields = draw(
        st.lists(st.tuples(TOKENS, TEXTS), max_size=6, unique_by=lambda each: each[0].lower())
    )
    body = draw(st.binary(max_size=BODY_BYTES))
    framing = draw(st.sampled_from(["length", "chunks", "end"]))
    written = [f"{name}: {text}" for name, text in fields]
    content = body
    if framing == "length":
        written.append(f"Content-Length: {len(body)}")
    elif framing == "chunks":
        written.append(CHUNKED)
        parts = [part for part in cut(body, draw(st.lists(st.integers(0, BODY_BYTES)))) if part]
        content = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    data = interim + head(*written, status=f"HTTP/1.1 {status} Whatever") + content
    return Sent(data, framing == "end", status, fields, body)


@given(sent=valid_answers(), cuts=CUTS)
def test_any_split_of_a_valid_answer_gives_that_answer(sent: Sent, cuts: list[int]) -> None:
    for pieces in (cut(sent.data, cuts), [bytes((byte,)) for byte in sent.data]):
        heard = hear(pieces, ends=sent.ends)
        assert heard.answer is not None
        assert (heard.answer.status, heard.answer.body) == (sent.status, sent.body)
        assert all(heard.answer.headers[name] == text for name, text in sent.fields)
        assert (heard.answer.is_cut, heard.may_follow) == (False, not sent.ends)


ODDS = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.sampled_from(
            [
                b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 C\r\n", b"HTTP/1.1 101 S\r\n", b"\r\n",
                b"\n", b"HTTP/1.1 204 N\r\n", b"Content-Length: 5\r\n",
                b"Transfer-Encoding: chunked\r\n",
                b"Connection: close\r\n", b"5\r\nhello\r\n", b"0\r\n\r\n", b"hello",
                b"x" * PIECE_MAX,
                b"X: " + b"y" * 2_000 + b"\r\n", b"Set-Cookie: a=b\r\n", b"\0",
            ]
        ),
    ),
    max_size=30,
)  # fmt: skip


@settings(max_examples=400)
@given(parts=ODDS, ends=st.booleans())
def test_whatever_comes_ends_in_an_answer_or_a_fault_and_is_bounded(
    parts: list[bytes], *, ends: bool
) -> None:
    reader = AnswerReader(BODY_BYTES)
    heard = feed(reader, parts, ends=ends)
    assert not (heard.answer and heard.fault)
    if heard.answer is not None:
        assert 200 <= heard.answer.status <= 999
        assert len(heard.answer.body) <= BODY_BYTES
        assert not (heard.may_follow and heard.answer.is_cut)
    held = sum(map(len, reader._parts)) + sum(len(a) + len(b) for a, b in reader._fields)
    assert held <= HEAD_BYTES_MAX + FRAMING * BODY_BYTES + PIECE_MAX


@given(parts=ODDS, cuts=CUTS)
def test_any_split_of_anything_is_judged_alike_up_to_the_end_of_the_answer(
    parts: list[bytes], cuts: list[int]
) -> None:
    """Behind the answer, whole bytes tell of a successor that single ones have not seen yet."""
    data = b"".join(parts)
    whole, split = hear([data], ends=True), hear(cut(data, cuts), ends=True)
    if split.answer is None:
        assert whole.answer is None
        assert bool(whole.fault) == bool(split.fault)
    elif not split.answer.is_cut:
        assert plain(whole.answer) == plain(split.answer)
