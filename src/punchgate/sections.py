"""What can be set, section by section: each field typed, defaulted, validated and explained.

The sentence under a field is its reference documentation. Where values come from, and which of them
wins, is `config.py`.
"""

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Final, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from punchgate.domain import localtime
from punchgate.domain.error import Invalid
from punchgate.domain.reach import Reach
from punchgate.domain.target import Rules

_DATABASES: Final = ("sqlite:///", "postgresql://")
_SCOPE: Final = re.compile(r"account|(device|site):.+")


def _listen(text: str) -> str:
    host, _, port = text.rpartition(":")
    if text and not (host and port.isdecimal() and int(port) <= 65_535):
        raise ValueError(f"{text!r} is not an address to listen on: write HOST:PORT.")
    return text


def _zone(name: str) -> str:
    try:
        localtime.find_zone(name)
    except Invalid as error:
        # The library names the field for a ValueError only.
        raise ValueError(str(error)) from error
    return name


def _database(url: str) -> str:
    if not url.startswith(_DATABASES):
        scheme = url.partition(":")[0]
        raise ValueError(
            f"{scheme!r} is not a database that we know: use {' or '.join(_DATABASES)}."
        )
    return url


def _network(text: str) -> str:
    return str(ipaddress.ip_network(text))


def _scope(text: str) -> str:
    if not _SCOPE.fullmatch(text):
        raise ValueError(f"{text!r} is no scope: write account, device:ID or site:NAME.")
    return text


def _digits(given: object) -> object:
    # In a file it may stand without quotes.
    return str(given) if isinstance(given, int) and not isinstance(given, bool) else given


def _comm_key(key: SecretStr) -> SecretStr:
    digits = key.get_secret_value()
    if not (digits.isascii() and digits.isdecimal() and 0 < int(digits) <= 999_999):
        raise ValueError("a comm key is a number from 1 to 999999.")
    return key


Listen: TypeAlias = Annotated[str, AfterValidator(_listen)]
Zone: TypeAlias = Annotated[str, AfterValidator(_zone)]
DatabaseUrl: TypeAlias = Annotated[str, AfterValidator(_database)]
Network: TypeAlias = Annotated[str, AfterValidator(_network)]
Scope: TypeAlias = Annotated[str, AfterValidator(_scope)]
CommKey: TypeAlias = Annotated[SecretStr, BeforeValidator(_digits), AfterValidator(_comm_key)]
Count: TypeAlias = Annotated[int, Field(ge=0)]
Seconds: TypeAlias = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """Settings that belong together: frozen, and a key that we do not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Http(Section):
    """`[http]`: the listener that carries everything."""

    listen: Listen = "127.0.0.1:8080"
    """Address of the APIs, health, metrics and device paths; an empty text opens none."""


class Devices(Section):
    """`[devices]`: the listener that carries only what terminals need."""

    listen: Listen = "0.0.0.0:8081"
    """Address of the device paths alone, so that a site can expose just that; empty opens none."""


class Ingest(Section):
    """`[ingest]`: the HTTP front door for punches."""

    rate_requests: Count = 6_000
    """Requests that one device may send within the window, evenly refilled; 0 is no limit."""

    rate_window_s: Seconds = 60
    """Length of that window, in seconds."""

    fail_requests: Count = 1_200
    """Failed requests (400, 401, 404) that one address may send in 60 s; 0 is no limit."""

    body_max_bytes: Annotated[int, Field(ge=1_024)] = 1_048_576
    """Largest request body, in bytes; a longer one is refused before it is read."""

    batch_max: Annotated[int, Field(ge=1, le=1_000)] = 1_000
    """Most punches in one request."""

    hide_unknown_devices: bool = False
    """Whether an unknown serial is answered like a wrong token, so that nobody can probe them."""


class Report(Section):
    """`[report]`: the attendance summary."""

    rate_requests: Count = 100
    """Requests that one key may send within the window, counted in the store; 0 is no limit."""

    rate_window_s: Seconds = 3_600
    """Length of that window, in seconds."""

    default_user_type: Annotated[str, Field(min_length=1, max_length=64)] = "Employee"
    """What a person is called who has no type."""


class Manage(Section):
    """`[manage]`: the event log for those who cannot be called, `GET /v1/events`."""

    rate_requests: Count = 600
    """Requests that one key may send to one process in 60 s, evenly refilled; 0 is no limit."""


class Delivery(Section):
    """`[delivery]`: what leaves for endpoints."""

    allow_http: bool = False
    """Whether an endpoint may be plain http on the public internet."""

    allow_networks: tuple[Network, ...] = ()
    """Private networks whose receivers may be connected to, over http too: `["10.1.0.0/16"]`."""

    ca_file: Path | None = None
    """Certificates in PEM that are trusted beside the system's, for receivers of your own."""

    show_private_answers: bool = False
    """Whether the dashboard and the API show what a receiver in an allowed network answered."""

    concurrency: Annotated[int, Field(ge=1, le=4_096)] = 256
    """Requests that one process has under way at once, to all endpoints together."""

    keep_accepted_days: Annotated[int, Field(ge=1, le=400)] = 14
    """Days for which attempts that were accepted are kept."""

    keep_failed_days: Annotated[int, Field(ge=1, le=400)] = 90
    """Days for which attempts that failed are kept."""

    def rules(self) -> Rules:
        """Give what may be connected to, as the guard reads it."""
        networks = tuple(ipaddress.ip_network(text) for text in self.allow_networks)
        return Rules(allow_http=self.allow_http, allow_networks=networks)


class Terminals(Section):
    """`[terminals]`: the terminals that we call, and the REST over them."""

    allowed_networks: tuple[Network, ...] = ()
    """Networks whose terminals may be called: `["192.168.0.0/16"]`; empty is every one.
    Link-local addresses and the metadata services of clouds are never called."""

    max_sessions: Annotated[int, Field(ge=1, le=4_096)] = 200
    """Conversations of one process at once; at most half of them listen for live events."""

    rate_requests: Count = 600
    """Requests to the REST that one key or address may send in 60 s; 0 is no limit."""

    all_deadline_s: Annotated[int, Field(ge=1, le=600)] = 60
    """Seconds for all terminals together that `/attendance/all` asks."""

    def reach(self) -> Reach:
        """Give what may be called, as the engine reads it."""
        return Reach(tuple(ipaddress.ip_network(text) for text in self.allowed_networks))


class Facade(Section):
    """`[facade]`: answering on port 4370 as if we were a terminal, read only."""

    listen: Listen = ""
    """Address for software that pulls terminals, over TCP; an empty text opens none."""

    key: CommKey | None = None
    """Comm key that it has to know, 1 to 999999; the Node clients cannot send one."""

    allow: tuple[Network, ...] = ()
    """Networks that need no key: `["10.1.0.0/16"]`. Without a key nobody else is let in."""

    account: Annotated[str, Field(min_length=1, max_length=64)] = "main"
    """Whose punches and people are shown."""

    scope: Scope = "account"
    """What of the account is shown: `account`, `device:ID` or `site:NAME`."""

    max_rows: Annotated[int, Field(ge=1, le=1_000_000)] = 100_000
    """Punches that are shown at most, the newest; of more the Node clients lose some silently."""

    frame_gap_ms: Annotated[int, Field(ge=0, le=1_000)] = 5
    """Pause behind each frame; with less than 5 the Node clients lose frames silently."""

    zone: Zone | None = None
    """IANA zone of the clock that it shows; `default_zone` else."""


class Secrets(Section):
    """`[secrets]`: the master key that seals what must be used again."""

    key_file: Path | None = None
    """File of the master key, 32 bytes, 0600; made at first need. `master.key` in `data` else."""

    key: SecretStr | None = None
    """The master key itself, as base64; for the environment only. No file is used then."""

    old_key_files: tuple[Path, ...] = ()
    """Files of earlier master keys: they open what they have sealed, and seal nothing."""
