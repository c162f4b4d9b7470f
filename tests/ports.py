"""Ports of loopback for programs that must be told theirs, or that nobody may answer at.

Whoever can, listens on port 0 instead. The system gives those from a range of its own, which is
left alone here: a server that is started again must not find its port with somebody else's test.
"""

import socket
from random import SystemRandom
from typing import Final

#: Below what Linux gives away (`net.ipv4.ip_local_port_range`), above what services have by habit.
_FIRST: Final = 12_000
_END: Final = 32_000
_chance: Final = SystemRandom()


def free_port() -> int:
    """Give a port that nobody listens on, and that nobody gets by chance."""
    while True:
        port = _chance.randrange(_FIRST, _END)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
