"""What holds for every format, whatever an event says: bodies as the log has them, made up.

Real: the formats of `registry.FORMATS`. Made up by hypothesis: every value of a body that is not
from a closed list, above all the texts that people and devices choose.
"""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punchgate import registry, vault
from punchgate.delivery import signing
from punchgate.delivery.form import Attempt, Rendered
from punchgate.domain import endpoint as domain_endpoint
from punchgate.domain.codes import DIRECTIONS, VERIFY_METHODS
from punchgate.domain.endpoint import FormatName
from punchgate.domain.event import EVENT_TYPES, Entry, envelope
from tests.delivery import samples

_IN_BATCHES: Final[tuple[FormatName, ...]] = (
    "standard", "plain", "github", "stripe", "gateway-v3", "cams",
)  # fmt: skip
_WORDS: Final = st.text(max_size=20)
_OR_NULL: Final = st.none() | _WORDS
_NUMBERS: Final = st.none() | st.floats(
    min_value=-1e6, max_value=1e6, allow_nan=False, allow_infinity=False
)
_PEOPLE: Final = st.fixed_dictionaries({"code": _WORDS, "custom_id": _OR_NULL, "name": _OR_NULL})
_DEVICES: Final = st.fixed_dictionaries(
    {"id": _WORDS, "serial": _WORDS, "name": _OR_NULL, "site": _OR_NULL}
)
_ANYTHING: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | _NUMBERS | _WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def punches(draw: st.DrawFn) -> dict[str, Any]:
    offset = timedelta(minutes=15 * draw(st.integers(-48, 56)))
    at = draw(
        st.datetimes(datetime(2000, 1, 2), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 (bounds)
    ).replace(microsecond=0)
    local = at.astimezone(timezone(offset))
    return {
        **samples.PUNCH,
        "person": draw(_PEOPLE),
        "device": draw(_DEVICES),
        "at": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "at_local": local.strftime("%Y-%m-%dT%H:%M:%S"),
        "utc_offset": local.isoformat()[-6:],
        "zone": draw(_WORDS),
        "direction": draw(st.sampled_from(DIRECTIONS)),
        "verify": draw(st.sampled_from(VERIFY_METHODS)),
        "temperature_c": draw(_NUMBERS),
        "mask": draw(st.none() | st.booleans()),
        "position": draw(
            st.none()
            | st.fixed_dictionaries(
                {"latitude": _NUMBERS, "longitude": _NUMBERS, "accuracy_m": _NUMBERS}
            )
        ),
        "flags": draw(st.lists(_WORDS, max_size=3)),
    }


_BODIES: Final = (
    punches()
    | st.just(samples.ERASED)
    | st.just({"erased": True})
    # An event of the future, or of the past: a field more, a field less.
    | st.dictionaries(_WORDS | st.sampled_from([*samples.PUNCH, "since"]), _ANYTHING, max_size=5)
)


@st.composite
def entries(draw: st.DrawFn, name: FormatName = "standard") -> Entry:
    form = registry.FORMATS[name]
    return samples.entry(
        draw(st.sampled_from([kind for kind in EVENT_TYPES if form.carries(kind)])),
        draw(_BODIES),
        event_id=f"evt_{draw(st.integers(0, 10**9)):026d}",
        received_at=draw(st.integers(946_684_800_000, 4_102_444_800_000)),
    )


def read(rendered: Rendered) -> Any:
    """Read a body as its content type says; what it says of itself must be true."""
    text = rendered.content.decode("utf-8")
    if rendered.content_type == "application/json":
        return json.loads(text)
    assert rendered.content_type == "application/x-www-form-urlencoded"
    fields = dict(parse_qsl(text, keep_blank_values=True, strict_parsing=True))
    if "request_data" in fields:
        return json.loads(fields["request_data"])
    return fields


@pytest.mark.slow
@pytest.mark.parametrize("name", domain_endpoint.FORMATS)
@given(data=st.data())
def test_any_event_renders_to_what_can_be_read_and_always_to_the_same(
    name: FormatName, data: st.DataObject
) -> None:
    form, endpoint = registry.FORMATS[name], samples.endpoint(name)
    entry, account = data.draw(entries(name)), data.draw(_WORDS)
    rendered = form.render(entry, endpoint, account)
    assert rendered == form.render(entry, endpoint, account)
    if rendered is not None:
        assert read(rendered)


@pytest.mark.slow
@pytest.mark.parametrize("name", _IN_BATCHES)
@given(data=st.data())
def test_any_batch_renders_to_what_can_be_read_and_always_to_the_same(
    name: FormatName, data: st.DataObject
) -> None:
    form, endpoint = registry.FORMATS[name], samples.endpoint(name)
    assert form.render_batch is not None
    some = data.draw(st.lists(entries(name), min_size=1, max_size=3))
    rendered = form.render_batch(some, endpoint, "main")
    assert rendered == form.render_batch(some, endpoint, "main")
    if rendered is not None:
        assert read(rendered)


@pytest.mark.slow
@pytest.mark.parametrize("name", domain_endpoint.FORMATS)
@given(body=punches())
def test_I8_no_body_shows_a_secret_but_the_token_that_its_page_asks_for(
    name: FormatName, body: dict[str, Any]
) -> None:
    endpoint = samples.endpoint(name, auth_token="canary-token", security_key=None)
    rendered = registry.FORMATS[name].render(samples.entry(data=body), endpoint, "main")
    assert rendered is not None
    assert samples.SECRET[6:].encode() not in rendered.content
    assert (b"canary-token" in rendered.content) == name.startswith("cams")


@pytest.mark.slow
@given(body=punches())
def test_an_encrypted_punch_is_the_plain_one(body: dict[str, Any]) -> None:
    form, entry = registry.FORMATS["cams"], samples.entry(data=body)
    plain = form.render(entry, samples.endpoint("cams"), "main")
    sealed = form.render(entry, samples.endpoint("cams", security_key=samples.SECURITY_KEY), "main")
    assert plain is not None
    assert sealed is not None
    assert vault.envelope_decrypt(sealed.content, samples.SECURITY_KEY) == plain.content
    assert samples.TOKEN.encode() not in sealed.content


@pytest.mark.slow
@given(entry=entries(), account=_WORDS)
def test_the_envelope_is_the_same_in_the_three_formats_that_have_it(
    entry: Entry, account: str
) -> None:
    expected = envelope(entry, account).encode()
    for name in ("standard", "github", "stripe"):
        rendered = registry.FORMATS[name].render(entry, samples.endpoint(), account)
        assert rendered == Rendered(expected, "application/json")


@pytest.mark.parametrize("name", domain_endpoint.FORMATS)
def test_every_format_names_its_event_in_its_headers(name: FormatName) -> None:
    form, endpoint, entry = registry.FORMATS[name], samples.endpoint(name), samples.entry()
    rendered = form.render(entry, endpoint, "main")
    assert rendered is not None
    headers = form.sign(rendered, Attempt(entry.id, entry.type, samples.AT, 2, "rp_1"), endpoint)
    assert headers["content-type"] == rendered.content_type
    assert headers["webhook-id"] == entry.id
    assert headers["webhook-attempt"] == "2"
    assert headers["webhook-replay"] == "rp_1"
    assert all(key == key.lower() for key in headers)
    assert ("authorization" in headers) == (name == "plain")


@pytest.mark.parametrize("name", ["gateway-v3", "cams", "cams-v2", "cams-v1"])
def test_a_format_of_the_vendor_is_signed_as_the_standard_one(name: str) -> None:
    assert registry.FORMATS[name].sign is signing.standard
