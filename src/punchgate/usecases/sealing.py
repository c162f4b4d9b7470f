"""Whether something may be sealed: never with a fresh key beside secrets of a lost one."""

from punchgate.domain.error import Refused
from punchgate.store import installation
from punchgate.store.database import Connection
from punchgate.vault import Vault


def ensure_key(tx: Connection, vault: Vault) -> None:
    """Refuse to begin a new master key while values are kept that another one has sealed."""
    if vault.is_new and installation.has_sealed(tx):
        raise Refused(
            f"The master key {vault.file} is missing, and secrets are sealed with it."
            " Put the file back; if it is lost, remove what it sealed first."
        )
