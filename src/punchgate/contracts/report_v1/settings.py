"""What an operator may set about report v1; plain values, handed in by `app.py`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of this contract; what each one means stands in `config.py`."""

    rate_requests: int = 100
    rate_window_s: int = 3600
    default_user_type: str = "Employee"
