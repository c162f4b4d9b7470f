"""What an operator may set about ingest v1; plain values, handed in by `app.py`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of this contract; what each one means stands in `config.py`."""

    rate_requests: int = 6000
    rate_window_s: int = 60
    fail_requests: int = 1200
    body_max_bytes: int = 1_048_576
    batch_max: int = 1000
    hide_unknown_devices: bool = False
    trusted_proxies: tuple[str, ...] = ()
