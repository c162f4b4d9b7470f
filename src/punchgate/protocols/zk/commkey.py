"""The comm key: four bytes that a client sends to show that it knows a terminal's number.

It is a scramble and no cipher: whoever hears one login has the key. Keys appear in no message.
"""

from typing import Final

#: Mixed into three bytes and sent beside them; a terminal may accept any, every client sends 50.
TICKS: Final = 50
#: A key has 1 to 6 digits; 0 means that none is set.
KEY_MAX: Final = 999_999

_WORD: Final = 0xFFFFFFFF
_MASK: Final = int.from_bytes(b"ZKSO", "little")


def scramble(key: int, session: int, ticks: int = TICKS) -> bytes:
    """Give the data of AUTH for a key in a session.

    Shapes:  `key` is 0 to 999999, `session` the number that CONNECT was answered with.
    Source:  docs/protocols/zk-4370.md, "Comm key".
    """
    mixed = ((_reversed_bits(key) + session) & _WORD) ^ _MASK
    low, high = mixed & 0xFFFF, mixed >> 16
    first, second, _, fourth = ((low << 16) | high).to_bytes(4, "little")
    return bytes((first ^ ticks, second ^ ticks, ticks, fourth ^ ticks))


def matches(data: bytes, key: int, session: int) -> bool:
    """Say whether the data of AUTH was made from this key, whatever its ticks."""
    return len(data) == 4 and data == scramble(key, session, data[2])


def _reversed_bits(word: int) -> int:
    return int(f"{word & _WORD:032b}"[::-1], 2)
