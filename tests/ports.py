"""Ports of loopback for programs that must be told theirs, or that nobody may answer at.

Whoever can, listens on port 0 instead. The system gives those from a range of its own, which is
left alone here: a server that is started again must not find its port with somebody else's test.
"""

import os
import socket
from collections.abc import Iterator
from itertools import cycle
from random import SystemRandom
from typing import Final

from punchgate.domain.target import REFUSED_PORTS

#: Below what Linux gives away (`net.ipv4.ip_local_port_range`), above what services have by habit.
_FIRST: Final = 12_000
_END: Final = 32_000
#: Of so many processes of one run, each has ports that no other of them gives.
_SHARES: Final = 8


def _own() -> Iterator[int]:
    """Give the ports of this process, by chance; none comes again before all the others have."""
    # `gw0`, `gw1` and so on: how the processes of a run are called.
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    own = range(_FIRST + int(worker) % _SHARES, _END, _SHARES)
    # A receiver of webhooks may have any of them.
    ports = [port for port in own if port not in REFUSED_PORTS]
    SystemRandom().shuffle(ports)
    return cycle(ports)


_ports: Final = _own()


def free_port() -> int:
    """Give a port that nobody listens on, and that nobody gets by chance.

    Between this look and the server's own a while may pass: commands, a start, a restart.
    """
    for port in _ports:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise AssertionError
