"""The settings: where each may come from, what it means, and where it did come from.

One TOML file, then `PUNCHGATE_*` of the environment, then the options of the command line; a later
place wins. A key that we do not know is an error wherever it stands: a misspelt setting is never
silently the default. The sentence under a field is its reference documentation, and the reference
page is made from it. No setting weakens durability: there is none to ask for.

`app` and `cli` read the settings and pass plain values down; nothing below imports this module.
"""

import ipaddress
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from punchgate.domain import localtime
from punchgate.domain.error import Invalid

PREFIX: Final = "PUNCHGATE_"
#: The file inside the data directory.
DATABASE_FILE: Final = "punchgate.db"

Origin = Literal["default", "file", "environment", "option"]

_DATABASES: Final = ("sqlite:///", "postgresql://")
_PASSWORD: Final = re.compile(r"(?<=:)[^:@/]+(?=@)")


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


Listen: TypeAlias = Annotated[str, AfterValidator(_listen)]
Zone: TypeAlias = Annotated[str, AfterValidator(_zone)]
DatabaseUrl: TypeAlias = Annotated[str, AfterValidator(_database)]
Network: TypeAlias = Annotated[str, AfterValidator(_network)]
Count: TypeAlias = Annotated[int, Field(ge=0)]
Seconds: TypeAlias = Annotated[int, Field(ge=1)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Http(_Section):
    """`[http]`: the listener that carries everything."""

    listen: Listen = "127.0.0.1:8080"
    """Address of the APIs, health, metrics and device paths; an empty text opens none."""


class Devices(_Section):
    """`[devices]`: the listener that carries only what terminals need."""

    listen: Listen = "0.0.0.0:8081"
    """Address of the device paths alone, so that a site can expose just that; empty opens none."""


class Ingest(_Section):
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


class Report(_Section):
    """`[report]`: the attendance summary."""

    rate_requests: Count = 100
    """Requests that one key may send within the window, counted in the store; 0 is no limit."""

    rate_window_s: Seconds = 3_600
    """Length of that window, in seconds."""

    default_user_type: Annotated[str, Field(min_length=1, max_length=64)] = "Employee"
    """What a person is called who has no type."""


class Settings(BaseSettings):
    """Everything that can be set; frozen once read."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        nested_model_default_partial_update=True,
    )

    data: Path = Path("data")
    """Directory of the data: the SQLite file, unless `database` names another place."""

    database: DatabaseUrl | None = None
    """Where punches are kept: `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST:PORT/NAME`."""

    default_zone: Zone = "UTC"
    """IANA zone of devices that have none, in accounts that have none."""

    trusted_proxies: tuple[Network, ...] = ()
    """Networks whose `X-Forwarded-For` is believed, as a list: `["10.0.0.0/8"]`."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important log lines that are written."""

    disk_floor_bytes: Count = 268_435_456
    """Free space below which we are not ready: the disk is never filled to its last byte."""

    http: Http = Http()
    """The listener that carries everything."""

    devices: Devices = Devices()
    """The listener that carries only what terminals need."""

    ingest: Ingest = Ingest()
    """The HTTP front door for punches."""

    report: Report = Report()
    """The attendance summary."""

    @property
    def database_url(self) -> str:
        """Give the URL of the database: the one that was set, else a file in `data`."""
        return self.database or f"sqlite:///{self.data / DATABASE_FILE}"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what `load` has put together and look nowhere else."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings in force, and where each that was set came from, by its dotted name."""

    settings: Settings
    origins: Mapping[str, Origin]


@dataclass(frozen=True, slots=True)
class Shown:
    """One setting for an operator's eyes; a password inside is masked."""

    name: str
    value: Any
    origin: Origin
    sentence: str


def load(file: Path | None = None, options: Mapping[str, Any] | None = None) -> Loaded:
    """Read the settings: the file, then the environment, then `options` (by dotted name).

    Errors:  Invalid, with a sentence that names the key and the place: a file that cannot be read,
             a key that we do not know, a value that will not do.
    """
    places: list[tuple[Origin, dict[str, Any]]] = [
        ("file", _file(file)),
        ("environment", _environment()),
        ("option", _nested(options or {})),
    ]
    merged: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    for origin, values in places:
        _merge(merged, values)
        origins |= dict.fromkeys(_names(values), origin)
    if _is_later(origins.get("data"), origins.get("database")):
        # `--data` beside a file that names a database means the directory.
        del merged["database"], origins["database"]
    try:
        return Loaded(Settings(**merged), origins)
    except ValidationError as error:
        raise Invalid(_sentence(error, origins)) from error


def show(loaded: Loaded) -> list[Shown]:
    """List every setting with its value, where it came from and its sentence, in order."""
    return [
        Shown(name, _masked(value), loaded.origins.get(name, "default"), sentence)
        for name, value, sentence in _fields(loaded.settings)
    ]


def _is_later(one: Origin | None, other: Origin | None) -> bool:
    order: tuple[Origin | None, ...] = (None, "file", "environment", "option")
    return other is not None and order.index(one) > order.index(other)


def _file(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    if not path.is_file():
        raise Invalid(f"There is no settings file {path}.")
    try:
        return TomlConfigSettingsSource(Settings, toml_file=path)()
    except (ValueError, OSError) as error:
        raise Invalid(f"The settings file {path} cannot be read: {error}.") from error


def _environment() -> dict[str, Any]:
    # The library only picks what it knows, so a misspelt name would be passed over in silence.
    for name in sorted(os.environ):
        path = name.upper().removeprefix(PREFIX)
        if path != name.upper() and not _is_known(path.lower().split("__")):
            raise Invalid(f"There is no setting {name}; `punchgate config show` lists them all.")
    try:
        return EnvSettingsSource(Settings)()
    except SettingsError as error:
        raise Invalid(f"The environment cannot be read: {error}.") from error


def _is_known(path: list[str]) -> bool:
    model: Any = Settings
    for step in path:
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return False
        if step not in model.model_fields:
            return False
        model = model.model_fields[step].annotation
    return True


def _nested(options: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for name, value in options.items():
        *sections, last = name.split(".")
        inner = nested
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[last] = value
    return nested


def _merge(into: dict[str, Any], values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            _merge(into[name], value)
        else:
            # A copy, so that a later place does not write into an earlier one's values.
            into[name] = dict(value) if isinstance(value, dict) else value


def _names(values: Mapping[str, Any], before: str = "") -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _names(value, f"{before}{name}.")
        else:
            yield f"{before}{name}"


def _fields(model: BaseModel, before: str = "") -> Iterator[tuple[str, Any, str]]:
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from _fields(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value, field.description or ""


def _masked(value: Any) -> Any:
    match value:
        case str():
            return _PASSWORD.sub("***", value) if "://" in value else value
        case Path():
            return str(value)
        case tuple():
            return list(value)
    return value


def _sentence(error: ValidationError, origins: Mapping[str, Origin]) -> str:
    problems = []
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        name = ".".join(str(step) for step in problem["loc"])
        origin = origins.get(name)
        place = f" ({origin})" if origin is not None else ""
        if problem["type"] == "extra_forbidden":
            problems.append(f"There is no setting `{name}`{place}.")
        else:
            what = problem["msg"].removeprefix("Value error, ")
            problems.append(f"`{name}`{place}: {what.rstrip('.')}.")
    return " ".join(problems)
