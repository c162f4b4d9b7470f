"""What the contract is built with: who calls terminals, and what an operator may set about it."""

from dataclasses import dataclass

from punchgate.usecases.terminals import Caller


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of this contract; what each one means stands in `sections.py`."""

    caller: Caller
    open_networks: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    trusted_proxies: tuple[str, ...] = ()
    rate_requests: int = 600
    all_deadline_s: int = 60
