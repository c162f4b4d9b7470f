"""Bytes that have arrived and are not read yet, never more than a bound.

Memory is taken as bytes arrive and never because a peer has announced them. It knows no format.
"""


class Buffer:
    """A queue of bytes with a bound.

    What does not fit is dropped and remembered in `is_over`: the codec reads what is complete and
    then gives the connection up.
    """

    __slots__ = ("_held", "is_over", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.is_over = False
        self._held = bytearray()

    def __len__(self) -> int:
        return len(self._held)

    def append(self, data: bytes) -> None:
        """Keep bytes behind those that are held, as far as they fit."""
        room = self.limit - len(self._held)
        if len(data) > room:
            self.is_over = True
            data = data[: max(room, 0)]
        self._held += data

    def peek(self, count: int) -> bytes:
        """Give the first bytes, fewer where fewer are held, and keep them."""
        return bytes(self._held[:count])

    def skip(self, count: int) -> None:
        """Forget the first bytes."""
        del self._held[:count]

    def take(self, count: int) -> bytes:
        """Give the first bytes and forget them."""
        # Through a view: one copy of what may be many megabytes, not two.
        with memoryview(self._held)[:count] as view:
            taken = bytes(view)
        del self._held[:count]
        return taken

    def clear(self) -> None:
        """Forget everything."""
        self._held.clear()
