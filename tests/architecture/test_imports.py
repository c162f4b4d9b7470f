"""The import contracts of pyproject.toml, each broken on purpose in a copy of the tree.

Real: the contracts, import-linter and our own source. Planted: one forbidden import, or one module
without a floor. A rule that never fires is no rule.
"""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest

_ROOT = Path(__file__).parents[2]


class Planted(NamedTuple):
    """A line added to a module, the contract that must notice, and what its report must name."""

    contract: str
    module: str
    line: str
    named: str


_PLANTED = (
    Planted("layers", "store/planted", "import punchgate.usecases", "punchgate.usecases"),
    Planted("layers", "wire/planted", "import punchgate.telemetry", "punchgate.telemetry"),
    Planted("layers", "httpkit/planted", "import punchgate.contracts", "punchgate.contracts"),
    Planted("layers", "netkit/planted", "import punchgate.simulators", "punchgate.simulators"),
    Planted("layers", "netkit/planted", "import punchgate.httpkit", "punchgate.httpkit"),
    Planted("layers", "reports/planted", "import punchgate.config", "punchgate.config"),
    Planted("layers", "delivery/planted", "import punchgate.registry", "punchgate.registry"),
    Planted("layers", "usecases/planted", "import punchgate.delivery", "punchgate.delivery"),
    Planted("layers", "runtime", "import punchgate.registry", "punchgate.registry"),
    Planted("layers", "annex", '"""A package without a floor."""', "punchgate.annex"),
    Planted("pure", "domain/planted", "import time", "time"),
    Planted("pure", "domain/planted", "from pathlib import Path", "pathlib"),
    Planted("pure", "wire/planted", "import asyncio", "asyncio"),
    Planted("pure", "wire/planted", "import sqlalchemy", "sqlalchemy"),
    Planted("pure", "protocols/zk/planted", "import time", "time"),
    Planted("pure", "protocols/zk/planted", "import socket", "socket"),
    Planted("layers", "protocols/zk/planted", "import punchgate.domain.ids", "domain.ids"),
    Planted(
        "speakers", "usecases/planted", "import punchgate.protocols.zk.packets", "protocols.zk"
    ),
    Planted("speakers", "cli/planted", "import punchgate.protocols.zk.records", "protocols.zk"),
    Planted("strangers", "domain/planted", "import punchgate.wire.event", "punchgate.wire.event"),
    Planted("strangers", "wire/planted", "import punchgate.domain.ids", "punchgate.domain.ids"),
    Planted(
        "rims",
        "contracts/ingest_v1/planted",
        "import punchgate.contracts.report_v1",
        "punchgate.contracts.report_v1",
    ),
    Planted(
        "rims",
        "delivery/formats/github",
        "import punchgate.delivery.formats.standard",
        "punchgate.delivery.formats.standard",
    ),
    Planted(
        "rims",
        "delivery/formats/planted",
        "import punchgate.contracts.report_v1",
        "punchgate.contracts.report_v1",
    ),
    Planted(
        "one-door", "contracts/report_v1/planted", "import punchgate.store.people", "store.people"
    ),
    Planted("one-door", "httpkit/planted", "import punchgate.store.writer", "store.writer"),
    Planted("one-door", "simulators/planted", "import punchgate.store.schema", "store.schema"),
    Planted("readers", "reports/planted", "import punchgate.store.writer", "store.writer"),
    Planted("readers", "reports/planted", "import punchgate.usecases.people", "usecases.people"),
    Planted("readers", "facades/planted", "import punchgate.store.writer", "store.writer"),
    Planted("readers", "facades/planted", "import punchgate.usecases.people", "usecases.people"),
    Planted("layers", "facades/planted", "import punchgate.simulators.day", "punchgate.simulators"),
    Planted("sql", "reports/planted", "import sqlalchemy", "sqlalchemy"),
    Planted("sql", "usecases/planted", "import sqlite3", "sqlite3"),
    Planted("sql", "cli/planted", "import asyncpg", "asyncpg"),
    Planted("http-in", "cli/planted", "import uvicorn", "uvicorn"),
    Planted("http-in", "usecases/planted", "import uvicorn", "uvicorn"),
    Planted("calls-out", "contracts/report_v1/planted", "import aiohttp", "aiohttp"),
    Planted("calls-out", "delivery/planted", "import aiohttp", "aiohttp"),
    Planted("receivers", "delivery/planted", "import punchgate.delivery.connection", "connection"),
    Planted("secrets", "delivery/formats/planted", "import cryptography", "cryptography"),
    Planted("secrets", "cli/planted", "import cryptography.fernet", "cryptography"),
    Planted("telemetry", "usecases/planted", "import structlog", "structlog"),
    Planted("telemetry", "httpkit/planted", "import prometheus_client", "prometheus_client"),
    Planted("simulators", "simulators/planted", "import punchgate.domain.ids", "domain.ids"),
    Planted("simulators", "simulators/planted", "import punchgate.vault", "punchgate.vault"),
    Planted("acyclic", "domain/ids", "import punchgate.domain.punch", "punchgate.domain"),
)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a copy of the source and of its contracts."""
    copy = tmp_path_factory.mktemp("house")
    ignored = shutil.ignore_patterns("__pycache__", "static")
    shutil.copytree(_ROOT / "src", copy / "src", ignore=ignored)
    shutil.copy(_ROOT / "pyproject.toml", copy)
    return copy


def test_the_house_keeps_its_contracts(house: Path) -> None:
    done = _lint(house)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "planted", _PLANTED, ids=[f"{row.contract}: {row.module}: {row.line}" for row in _PLANTED]
)
def test_a_planted_breach_is_noticed(house: Path, planted: Planted) -> None:
    path = house / "src/punchgate" / f"{planted.module}.py"
    before = path.read_text() if path.exists() else None
    path.write_text(f"{before or ''}\n{planted.line}\n")
    try:
        done = _lint(house, "--contract", planted.contract)
    finally:
        path.unlink() if before is None else path.write_text(before)
    assert done.returncode == 1, done.stdout
    assert "BROKEN" in done.stdout, done.stdout
    assert planted.named in done.stdout.partition("Broken contracts")[2]


def test_every_contract_is_broken_by_some_row() -> None:
    settings = tomllib.loads((_ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    contracts = {contract["id"] for contract in settings["contracts"]}
    assert {row.contract for row in _PLANTED} == contracts


def test_every_package_and_module_has_a_floor() -> None:
    settings = tomllib.loads((_ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = next(one for one in settings["contracts"] if one["id"] == "layers")
    floors = {name.strip() for floor in layers["layers"] for name in floor.split("|")}
    package = _ROOT / "src/punchgate"
    found = {path.parent.name for path in package.glob("*/__init__.py")}
    found |= {path.stem for path in package.glob("*.py")} - {"__init__"}
    assert found == floors


def _lint(house: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(
        [command, "--no-logo", "--cache-dir", house / "cache", *options],
        cwd=house,
        env={**os.environ, "PYTHONPATH": str(house / "src")},
        check=False,
        capture_output=True,
        text=True,
    )
