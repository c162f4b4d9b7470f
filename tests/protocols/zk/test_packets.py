"""Frames, datagrams and checksums, against the worked examples of the protocol page and the kit.

Real: the codecs. The frames are our own; nothing here was recorded.
"""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punchgate.protocols.zk import packets
from punchgate.protocols.zk.commands import Command, Reply
from punchgate.protocols.zk.packets import DatagramCodec, Packet, TcpCodec
from punchgate.wire.error import ProtocolError
from tests.protocols import kit

_PACKETS = (
    Packet(Command.CONNECT, 0, 0),
    Packet(Reply.ACK_OK, 0xFFFF, 0),
    Packet(Command.OPTIONS_RRQ, 7, 1, b"~SerialNumber\0"),
    Packet(Command.DATA, 7, 65_534, bytes(range(255)) * 3),
    Packet(65_535, 1, 65_535, b"\xff"),
)
_FRAMES = tuple(packets.frame(packet) for packet in _PACKETS)


def _frame(length: int, payload: bytes = b"") -> bytes:
    return packets.FRAME_HEAD.pack(packets.MAGIC, length) + payload


def _damaged(frame: bytes) -> bytes:
    return frame[:10] + bytes((frame[10] ^ 1,)) + frame[11:]


STAGE = kit.Stage(
    make=lambda: TcpCodec(limit=1_024),
    good=_FRAMES,
    events=_PACKETS,
    bad=(
        b"GET / HTTP/1.1\r\n",
        b"\x50\x51",
        _frame(7),
        _frame(0),
        _frame(1_025),
        _frame(0xFFFFFFFF),
        _damaged(_FRAMES[2]),
    ),
    bound=8 + 1_024 + packets.READ_LIMIT,
)

packet_strategy = st.builds(
    Packet,
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFF),
    st.binary(max_size=64),
)


def test_byte_at_a_time_gives_the_same_packets() -> None:
    kit.byte_at_a_time_gives_the_same(STAGE)


@given(st.lists(st.integers(0, 10_000), max_size=12))
def test_any_split_of_the_stream_gives_the_same_packets(cuts: list[int]) -> None:
    kit.any_split_gives_the_same(STAGE, cuts)


_NEARLY = st.one_of(
    st.binary(max_size=80),
    st.builds(_frame, st.integers(0, 80), st.binary(max_size=80)),
    st.sampled_from(_FRAMES),
)


@given(st.lists(_NEARLY, max_size=6))
def test_I7_random_bytes_raise_a_protocol_error_or_nothing(pieces: list[bytes]) -> None:
    kit.random_bytes_raise_nothing_else(STAGE, pieces)


def test_good_frames_before_a_bad_one_are_delivered_before_the_error() -> None:
    kit.good_frames_come_before_the_error(STAGE)


@pytest.mark.parametrize("piece", [b"\x50", _frame(1_024)[:8] + bytes(8_000), bytes(70_000)])
def test_I7_the_buffer_never_grows_beyond_its_bound(piece: bytes) -> None:
    kit.the_buffer_keeps_its_bound(STAGE, piece, 200)


def test_what_is_never_taken_is_bounded_too() -> None:
    codec = TcpCodec(limit=100)
    for _ in range(100):
        codec.feed(_FRAMES[0] * 1_000)
    assert codec.held_bytes <= 8 + 100 + packets.READ_LIMIT
    seen, error = kit.taken(codec)
    assert "More was sent" in str(error)
    assert len(seen) == (8 + 100 + packets.READ_LIMIT) // len(_FRAMES[0])


def test_a_frame_of_the_limit_is_read_and_one_byte_more_is_not() -> None:
    codec = TcpCodec(limit=20)
    codec.feed(packets.frame(Packet(1, 1, 1, bytes(12))))
    assert len(list(codec.events())) == 1
    codec.feed(packets.frame(Packet(1, 1, 1, bytes(13))))
    with pytest.raises(ProtocolError, match="announces 21 bytes; 20 are allowed"):
        list(codec.events())


def test_the_limit_is_raised_while_a_table_is_expected() -> None:
    codec = TcpCodec()
    whole = packets.frame(Packet(Command.DATA, 1, 1, bytes(4_000_004)))
    codec.allow(packets.TABLE_FRAME_LIMIT)
    for start in range(0, len(whole), 65_536):
        codec.feed(whole[start : start + 65_536])
    (packet,) = codec.events()
    assert len(packet.data) == 4_000_004
    codec.allow(packets.FRAME_LIMIT)
    codec.feed(whole[:8])
    with pytest.raises(ProtocolError):
        list(codec.events())


@pytest.mark.parametrize("cut", [1, 4, 8, 15])
def test_a_stream_that_ends_inside_a_frame_is_an_error(cut: int) -> None:
    codec = TcpCodec()
    codec.feed(_FRAMES[0] + _FRAMES[1][:cut])
    codec.feed(b"")
    seen, error = kit.taken(codec)
    assert seen == [_PACKETS[0]]
    assert "ends inside" in str(error)


def test_a_stream_that_ends_behind_a_frame_is_none() -> None:
    codec = TcpCodec()
    codec.feed(_FRAMES[0])
    codec.feed(b"")
    assert list(codec.events()) == [_PACKETS[0]]


@pytest.mark.parametrize(
    ("payload", "checksum"),
    [
        # The worked example of docs/protocols/zk-4370.md, and one of odd length.
        ("0b00 5a17 f38d 0300 5a4b4661636556657273696f6e00", 0x175A),
        ("d007 296a f38d 0a00 09", 0x6A29),
    ],
)
def test_the_checksum_is_the_complement_of_the_folded_sum(payload: str, checksum: int) -> None:
    packet = packets.decode(bytes.fromhex(payload))
    assert packets.checksum(*packet) == checksum
    assert packets.encode(packet) == bytes.fromhex(payload)


@given(packet_strategy)
def test_the_checksum_equals_the_one_that_is_added_word_by_word(packet: Packet) -> None:
    data = packet.data + b"\0" * (len(packet.data) % 2)
    words = (
        packet.command,
        packet.session,
        packet.reply,
        *struct.unpack(f"<{len(data) // 2}H", data),
    )
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    assert packets.checksum(*packet) == ~total & 0xFFFF


@given(packet_strategy)
def test_a_packet_survives_its_frame_and_its_datagram(packet: Packet) -> None:
    tcp, udp = TcpCodec(), DatagramCodec()
    tcp.feed(tcp.send(packet))
    udp.feed(udp.send(packet))
    assert list(tcp.events()) == list(udp.events()) == [packet]


@given(packet_strategy, st.integers(0, 71), st.integers(1, 255))
def test_a_changed_byte_is_noticed(packet: Packet, place: int, change: int) -> None:
    payload = bytearray(packets.encode(packet))
    payload[place % len(payload)] ^= change
    with pytest.raises(ProtocolError):
        packets.decode(bytes(payload))


def test_a_damaged_datagram_is_dropped_and_the_next_one_is_read() -> None:
    codec = DatagramCodec()
    for datagram in (b"", b"\0" * 7, packets.encode(_PACKETS[2])[:-2], packets.encode(_PACKETS[0])):
        codec.feed(datagram)
    assert list(codec.events()) == [_PACKETS[0]]
    assert codec.dropped == 3


def test_datagrams_that_nobody_reads_are_dropped() -> None:
    codec = DatagramCodec(waiting=2)
    for _ in range(5):
        codec.feed(packets.encode(_PACKETS[3]))
    assert (len(list(codec.events())), codec.dropped, codec.held_bytes) == (2, 3, 0)


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_I7_any_datagram_gives_a_packet_or_nothing(datagrams: list[bytes]) -> None:
    codec = DatagramCodec()
    for datagram in datagrams:
        codec.feed(datagram)
    assert len(list(codec.events())) + codec.dropped == len(datagrams)


@pytest.mark.parametrize("packet", [Packet(70_000, 0, 0), Packet(1, -1, 0), Packet(1, 0, 65_536)])
def test_a_number_that_does_not_fit_is_our_mistake(packet: Packet) -> None:
    with pytest.raises(ValueError, match="16 bits"):
        TcpCodec().send(packet)


def test_a_datagram_holds_no_more_than_udp_carries() -> None:
    with pytest.raises(ValueError, match="datagram"):
        DatagramCodec().send(Packet(Command.DATA, 1, 1, bytes(65_500)))


def test_I8_a_packet_says_who_it_is_and_not_what_it_holds() -> None:
    assert str(Packet(Command.AUTH, 1, 2, b"secret")) == "AUTH reply 2, 6 bytes"
    assert str(Packet(4_989, 1, 2)) == "4989 reply 2, 0 bytes"
