"""Rows of a table that are made when somebody reads them, so that half a million take no memory.

It knows no layout: how one row is made is handed in.
"""

from collections.abc import Callable


class ComputedRows:
    """The bytes of many rows of one width; a `Rows` of `protocols/zk/memory.py`.

    Shapes:  `row` gives the bytes of the row at an index from 0. `head` stands before the first
             row; of the last row, `cut` bytes are missing.
    """

    def __init__(
        self,
        count: int,
        width: int,
        row: Callable[[int], bytes],
        *,
        head: bytes = b"",
        cut: int = 0,
    ) -> None:
        self._count = count
        self._width = width
        self._row = row
        self._head = head
        self._cut = cut if count else 0

    def __len__(self) -> int:
        return len(self._head) + self._count * self._width - self._cut

    def __getitem__(self, part: slice, /) -> bytes:
        start, stop, _ = part.indices(len(self))
        if stop <= start:
            return b""
        head = len(self._head)
        front = self._head[start:stop]
        start, stop = max(start - head, 0), max(stop - head, 0)
        first, last = start // self._width, -(-stop // self._width)
        rows = b"".join(map(self._row, range(first, last)))
        skip = start - first * self._width
        return front + rows[skip : skip + stop - start]
