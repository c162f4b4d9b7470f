"""What can go wrong in a conversation, said as one cause and one sentence.

A total mapping: whatever leaves `netkit` and `protocols/zk` has a cause here.
"""

import errno
from typing import Final

from punchgate import telemetry
from punchgate.netkit.error import Lost, Silent, Unreachable
from punchgate.protocols.zk.dialogue import Refused, WrongKey
from punchgate.usecases.terminals import Cause, TerminalTrouble
from punchgate.wire.error import ProtocolError

#: What a conversation may end with.
ENDINGS: Final = (Lost, Silent, Unreachable, ProtocolError)


def of(error: Exception, host: str, port: int) -> TerminalTrouble:
    """Name the cause of an ending, and count it if it is the codec's."""
    where = f"{host}:{port}"
    if isinstance(error, Unreachable):
        return _unreached(error, where)
    if isinstance(error, ProtocolError):
        cause = _broken(error)
        if cause == "protocol":
            telemetry.CODEC_ERRORS.labels("zk").inc()
        return TerminalTrouble(cause, f"{where}: {error}")
    if isinstance(error, Silent):
        return TerminalTrouble("timeout", f"{where} did not answer in time.")
    if f"[Errno {errno.ECONNREFUSED}]" in str(error):
        # On UDP nobody takes a call: that nobody listens comes back as an error of what was sent.
        return TerminalTrouble("refused", f"Nobody listens at {where}.")
    return TerminalTrouble("reset", f"{where} closed the connection in the middle.")


def late(host: str, port: int) -> TerminalTrouble:
    """Give the ending of a conversation whose whole time is over."""
    return TerminalTrouble("timeout", f"{host}:{port} took longer than it may.")


def is_harmless(error: Exception) -> bool:
    """Say whether a session is as good as before: a plain refusal, or a value that was not sent."""
    return isinstance(error, Refused | ValueError)


def _broken(error: ProtocolError) -> Cause:
    match error:
        case WrongKey():
            return "wrong_key"
        case Refused():
            return "declined"
    return "protocol"


def _unreached(error: Unreachable, where: str) -> TerminalTrouble:
    cause: Cause = "unreachable"
    match error.__cause__:
        case None:
            cause = "timeout"
        case ConnectionRefusedError():
            return TerminalTrouble("refused", f"Nobody listens at {where}.")
        case TimeoutError():
            cause = "timeout"
    return TerminalTrouble(cause, f"{error}.")
