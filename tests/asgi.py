"""A client that calls an ASGI app in this process: the messages a server would send, no socket."""

import json
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from punchgate.httpkit.edge import App


@dataclass(frozen=True, slots=True)
class Response:
    """What came back; header names in lower case, the values of one name joined by a comma."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


async def call(
    app: App,
    method: str,
    target: str,
    headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
    body: bytes | Sequence[bytes] = b"",
) -> Response:
    """Send one request and give the whole answer; a body in parts is sent chunked."""
    parts = [body] if isinstance(body, bytes) else list(body)
    pairs = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
    pairs.append(("host", "gw.example"))
    if not isinstance(body, bytes):
        pairs.append(("transfer-encoding", "chunked"))
    elif body and "content-length" not in {name.lower() for name, _ in pairs}:
        pairs.append(("content-length", str(len(body))))
    messages = [
        {"type": "http.request", "body": part, "more_body": number < len(parts)}
        for number, part in enumerate(parts, 1)
    ]
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await app(_scope(method, target, pairs), receive, send)
    return _response(sent)


def _scope(method: str, target: str, pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    url = urlsplit(target)
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": url.path,
        "raw_path": url.path.encode(),
        "query_string": url.query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in pairs],
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 8080),
    }


def _response(sent: Sequence[MutableMapping[str, Any]]) -> Response:
    """Put an answer together; a server would refuse one whose messages are out of order."""
    start, *rest = sent
    assert start["type"] == "http.response.start"
    assert all(message["type"] == "http.response.body" for message in rest)
    headers: dict[str, str] = {}
    for raw_name, raw_value in start["headers"]:
        name, value = raw_name.decode(), raw_value.decode()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    body = b"".join(message.get("body", b"") for message in rest)
    return Response(start["status"], headers, body)
