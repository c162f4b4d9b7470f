"""Telling which address could not be listened on, by the option that it can be changed with.

The error of a socket does not say for which listener it was opened; so once they are closed again,
each is tried by itself. Where each can be had, it is two of ours that want the same port.
"""
# ruff: noqa: PLC0415 (imports wait until a command runs: `--help` stays fast)

import errno
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from punchgate.domain.error import PunchgateError


@contextmanager
def telling(addresses: Mapping[str, str]) -> Iterator[None]:
    """Turn the error of a socket into a sentence about its address; other errors pass.

    Shapes:  from the option to the address that it says: `{"--http": "127.0.0.1:8080"}`; an empty
             address is none.
    Errors:  PunchgateError for an address that cannot be listened on.
    """
    try:
        yield
    except OSError as error:
        if error.filename is not None:
            raise
        for option, text in addresses.items():
            fault = _fault(text) if text else None
            if fault is not None:
                raise PunchgateError(_sentence(option, text, fault)) from error
        if error.errno == errno.EADDRINUSE:
            listed = ", ".join(f"{option} {text}" for option, text in addresses.items() if text)
            raise PunchgateError(f"Two listeners want one port: {listed}.") from error
        raise


def _fault(text: str) -> OSError | None:
    from punchgate.httpkit import server

    address = server.Address.read(text)
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        socket.create_server((address.host, address.port), family=family).close()
    except OSError as error:
        return error
    return None


def _sentence(option: str, text: str, fault: OSError) -> str:
    if fault.errno == errno.EADDRINUSE:
        return f"{text} is taken by another program; choose another with {option}."
    # Python adds the address in its own notation.
    said = (fault.strerror or str(fault)).partition(" (while")[0]
    return f"{text} cannot be listened on: {said}. Choose another with {option}."
