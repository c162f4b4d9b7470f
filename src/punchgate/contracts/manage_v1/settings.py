"""What an operator may set about manage v1; plain values, handed in by `app.py`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of this contract; what each one means stands in `config.py`."""

    rate_requests: int = 600
