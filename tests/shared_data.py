"""Where published samples and cases stand when they are laid beside the checkout.

They are absent on a user's machine; whoever needs them skips then.
"""

from pathlib import Path

_BESIDE = Path(__file__).resolve().parents[2] / "shared"


def find(name: str) -> Path | None:
    """Give the path of a shared file, or None where the directory is not there."""
    path = _BESIDE / name
    return path if path.exists() else None
