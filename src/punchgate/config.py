"""The settings: where each may come from, what it means, and where it did come from.

One TOML file, then `PUNCHGATE_*` of the environment, then the options of the command line; a later
place wins. A key that we do not know is an error wherever it stands: a misspelt setting is never
silently the default. What each section holds is `sections.py`; the reference page is made from the
sentence under each field. No setting weakens durability: there is none to ask for.

`app` and `cli` read the settings and pass plain values down; nothing below imports this module.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from punchgate.domain.error import Invalid
from punchgate.sections import (
    Count,
    DatabaseUrl,
    Delivery,
    Devices,
    Facade,
    Http,
    Ingest,
    Manage,
    Network,
    Report,
    Secrets,
    Terminals,
    Zone,
)
from punchgate.vault import Vault

__all__ = [
    "DATABASE_FILE",
    "KEY_FILE",
    "PREFIX",
    "Devices",
    "Http",
    "Loaded",
    "Origin",
    "Settings",
    "Shown",
    "load",
    "show",
]

PREFIX: Final = "PUNCHGATE_"
#: The file inside the data directory.
DATABASE_FILE: Final = "punchgate.db"
#: The master key beside it.
KEY_FILE: Final = "master.key"

Origin = Literal["default", "file", "environment", "option"]

#: Up to the last `@`: not everybody escapes what stands in a password. The driver also takes one
#: from the query.
_PASSWORD: Final = re.compile(r"(://[^:@/?]*:).*(?=@)|([?&]password=)[^&]*")


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

    open_networks: tuple[Network, ...] = ("127.0.0.0/8", "::1/128")
    """Networks from where the REST over terminals needs no key and acts on `main`; `[]` is none."""

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

    manage: Manage = Manage()
    """The event log for those who cannot be called."""

    delivery: Delivery = Delivery()
    """What leaves for endpoints."""

    terminals: Terminals = Terminals()
    """The terminals that we call, and the REST over them."""

    facade: Facade = Facade()
    """Answering on port 4370 as if we were a terminal, read only."""

    secrets: Secrets = Secrets()
    """The master key that seals what must be used again."""

    @property
    def database_url(self) -> str:
        """Give the URL of the database: the one that was set, else a file in `data`."""
        return self.database or f"sqlite:///{self.data / DATABASE_FILE}"

    def vault(self) -> Vault:
        """Give what seals secrets; nothing is read before something is sealed or opened."""
        given = self.secrets.key
        return Vault(
            self.secrets.key_file or self.data / KEY_FILE,
            None if given is None else given.get_secret_value(),
            self.secrets.old_key_files,
        )

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
        case SecretStr():
            return "***"
        case str():
            return _PASSWORD.sub(r"\1\2***", value)
        case Path():
            return str(value)
        case tuple():
            return [_masked(each) for each in value]
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
