"""Every format and event type, byte for byte, as the receiver gets it.

Real: rendering and signing, from `registry.FORMATS`. Each file of `golden/` is one whole request:
what is set in the address, the headers, a blank line, the body. Receivers hold us to these bytes: a
change here is a change of a promise. Empty files stand for what a format passes over.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from punchgate import registry
from punchgate.delivery.form import Attempt, Format, Rendered, batch_id
from punchgate.domain import endpoint as domain_endpoint
from punchgate.domain.endpoint import Endpoint
from punchgate.domain.event import EVENT_TYPES, Entry
from tests.delivery import samples

GOLDEN: Final = Path(__file__).parents[1] / "golden"
_CASES: Final[Mapping[str, Entry]] = {
    **{kind: samples.entry(kind) for kind in EVENT_TYPES},
    "punch.recorded-full": samples.entry(data=samples.FULL_PUNCH),
    "punch.recorded-erased": samples.entry(data=samples.ERASED),
}
_NAMES: Final = domain_endpoint.FORMATS


@pytest.mark.parametrize("case", _CASES)
@pytest.mark.parametrize("name", _NAMES)
def test_one_event_has_its_bytes(name: domain_endpoint.FormatName, case: str) -> None:
    assert request(name, _CASES[case]) == (GOLDEN / name / f"{case}.http").read_bytes()


@pytest.mark.parametrize("name", _NAMES)
def test_a_batch_has_its_bytes(name: domain_endpoint.FormatName) -> None:
    assert batch_request(name) == (GOLDEN / name / "batch.http").read_bytes()


def test_an_encrypted_body_has_its_bytes() -> None:
    endpoint = samples.endpoint("cams", security_key=samples.SECURITY_KEY)
    assert (
        written(registry.FORMATS["cams"], _CASES["punch.recorded"], endpoint)
        == (GOLDEN / "cams/encrypted.http").read_bytes()
    )


def test_every_golden_file_is_compared() -> None:
    expected = {f"{name}/{case}.http" for name in _NAMES for case in [*_CASES, "batch"]}
    found = {path.relative_to(GOLDEN).as_posix() for path in GOLDEN.rglob("*") if path.is_file()}
    assert found == expected | {"cams/encrypted.http"}


def test_every_format_of_an_endpoint_has_its_row() -> None:
    assert tuple(registry.FORMATS) == domain_endpoint.FORMATS
    assert [row.name for row in registry.FORMATS.values()] == list(registry.FORMATS)


def request(name: domain_endpoint.FormatName, entry: Entry) -> bytes:
    return written(registry.FORMATS[name], entry, samples.endpoint(name))


def written(form: Format, entry: Entry, endpoint: Endpoint) -> bytes:
    if not form.carries(entry.type):
        return b""
    rendered = form.render(entry, endpoint, "main")
    return b"" if rendered is None else _whole(form, rendered, samples.attempt(entry), endpoint)


def batch_request(name: domain_endpoint.FormatName) -> bytes:
    form, endpoint = registry.FORMATS[name], samples.endpoint(name)
    if form.render_batch is None:
        return b""
    entries = [
        samples.entry(),
        samples.entry(data={**samples.PUNCH, "direction": "check-in"}, event_id="evt_2"),
        samples.entry(data=samples.ERASED, event_id="evt_3"),
    ]
    rendered = form.render_batch(entries, endpoint, "main")
    assert rendered is not None
    of_batch = Attempt(batch_id(entries), "batch", samples.AT + 5_000, 2, "rep_23456789abcd")
    return _whole(form, rendered, of_batch, endpoint)


def _whole(form: Format, rendered: Rendered, attempt: Attempt, endpoint: Endpoint) -> bytes:
    query = "&".join(f"{name}={value}" for name, value in rendered.query)
    headers = form.sign(rendered, attempt, endpoint)
    lines = [f"POST ?{query}" if query else "POST", *(f"{k}: {v}" for k, v in headers.items())]
    return "\n".join(lines).encode() + b"\n\n" + rendered.content
