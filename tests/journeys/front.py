"""A private nginx with the configuration that we ship: free ports, a directory and a certificate of
its own.

Real: nginx, TLS, `deploy/nginx.conf`. Changed in it: the lines marked CHANGE, as an operator would,
and what a test of its own has changed, so that it need not wait for what the file allows.
"""

import re
import socket
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests import installed
from tests.journeys import gateway
from tests.ports import free_port

_SHIPPED: Final = Path(__file__).parents[2] / "deploy" / "nginx.conf"


@dataclass(frozen=True, slots=True)
class Front:
    """A running front. `trust` knows its certificate."""

    port: int
    trust: ssl.SSLContext
    home: Path

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def errors(self) -> str:
        return (self.home / "error.log").read_text()


@contextmanager
def running(
    home: Path, upstream_port: int, changes: Mapping[str, str] | None = None
) -> Iterator[Front]:
    """Start nginx before the gateway at this port of loopback, and stop it at the end.

    `changes` are made to the shipped file: what stands there, and what is to stand there instead.
    """
    program = installed.program("nginx", package="nginx")
    home.mkdir()
    certificate, key = _certificate(home)
    port, inner_port = free_port(), free_port()
    configuration = home / "nginx.conf"
    configuration.write_text(
        _filled(
            _SHIPPED.read_text(),
            {
                r"pid /run/nginx.pid;": f"pid {home}/nginx.pid;",
                r"error_log /var/log/nginx/error.log warn;": f"error_log {home}/error.log warn;",
                r"access_log /var/log/nginx/access.log combined;": f"access_log {home}/access.log;",
                r"server 127.0.0.1:8081": f"server 127.0.0.1:{upstream_port}",
                r"server 127.0.0.1:8089": f"server 127.0.0.1:{inner_port}",
                r"listen 127.0.0.1:8089;": f"listen 127.0.0.1:{inner_port};",
                r"listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
                r"listen [::]:443 ssl;": "",
                r"/etc/punchgate/tls/fullchain.pem": str(certificate),
                r"/etc/punchgate/tls/privkey.pem": str(key),
                # Where it would keep bodies if it did not run as root.
                r"    limit_req_zone ": f"    {_temporary_paths(home)}\n    limit_req_zone ",
                **(changes or {}),
            },
        )
    )
    process = subprocess.Popen(
        [program, "-p", home, "-c", configuration, "-e", home / "error.log", "-g", "daemon off;"],
        stdin=subprocess.DEVNULL,
    )
    try:
        gateway.until(lambda: _listens(port) or process.poll() is not None)
        if process.poll() is not None:
            raise RuntimeError((home / "error.log").read_text())
        yield Front(port, ssl.create_default_context(cafile=str(certificate)), home)
    finally:
        process.terminate()
        process.wait(timeout=gateway.LIMIT_S)


def _filled(template: str, changes: dict[str, str]) -> str:
    for old, new in changes.items():
        if template.count(old) != 1:
            raise ValueError(f"{old!r} stands {template.count(old)} times in deploy/nginx.conf")
        template = template.replace(old, new)
    return template


def _temporary_paths(home: Path) -> str:
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    return " ".join(f"{kind}_temp_path {home}/{kind};" for kind in kinds)


def _certificate(home: Path) -> tuple[Path, Path]:
    openssl = installed.program("openssl", package="openssl")
    certificate, key = home / "fullchain.pem", home / "privkey.pem"
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate),
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def directives(name: str) -> list[str]:
    """Give what the shipped file says of a directive, in the order of the file."""
    return re.findall(rf"^\s*{name}\s+(.*?);", _SHIPPED.read_text(), re.MULTILINE)
