"""Signatures, checked by verifiers that are not ours.

Real: `standardwebhooks`, the reference verifier; for GitHub and Stripe a receiver's check as their
public documentation describes it, written here with the standard library alone. The reference
verifier reads the host's clock, so those attempts are made now; everything else has a fixed time.
"""

import base64
import hashlib
import hmac
import re
import time
from collections.abc import Mapping
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from punchgate.delivery import signing
from punchgate.delivery.form import Attempt, Rendered
from punchgate.domain.endpoint import Endpoint
from tests.delivery import samples

_BODY: Final = Rendered('{"name":"Zoë"}'.encode(), "application/json")
_ENTRY: Final = samples.entry()
_HOUR_MS: Final = 3_600_000


def now_ms() -> int:
    return int(time.time() * 1000)  # noqa: TID251 (the reference verifier reads the host's clock)


def rotating(at: int) -> Endpoint:
    return samples.endpoint(old_until=at + _HOUR_MS)


def signed_now(endpoint: Endpoint | None = None, *, late_ms: int = 0) -> dict[str, str]:
    attempt = samples.attempt(_ENTRY, at=now_ms() - late_ms)
    return signing.standard(_BODY, attempt, endpoint or samples.endpoint())


def test_the_reference_verifier_accepts_what_is_sent() -> None:
    assert Webhook(samples.SECRET).verify(_BODY.content, signed_now()) == {"name": "Zoë"}


@pytest.mark.parametrize("place", [0, 9, len(_BODY.content) - 1])
def test_the_reference_verifier_rejects_a_changed_byte(place: int) -> None:
    changed = bytearray(_BODY.content)
    changed[place] ^= 1
    with pytest.raises(WebhookVerificationError, match="No matching signature"):
        Webhook(samples.SECRET).verify(changed.decode("latin-1"), signed_now(), json_parse=False)


def test_the_reference_verifier_rejects_another_id() -> None:
    headers = signed_now() | {"webhook-id": "evt_other"}
    with pytest.raises(WebhookVerificationError, match="No matching signature"):
        Webhook(samples.SECRET).verify(_BODY.content, headers)


@pytest.mark.parametrize(("late_ms", "said"), [(301_000, "too old"), (-302_000, "too new")])
def test_the_reference_verifier_rejects_a_stale_attempt(late_ms: int, said: str) -> None:
    with pytest.raises(WebhookVerificationError, match=said):
        Webhook(samples.SECRET).verify(_BODY.content, signed_now(late_ms=late_ms))


def test_the_reference_verifier_rejects_another_secret() -> None:
    with pytest.raises(WebhookVerificationError, match="No matching signature"):
        Webhook(samples.OLD_SECRET).verify(_BODY.content, signed_now())


@pytest.mark.parametrize("secret", [samples.SECRET, samples.OLD_SECRET])
def test_both_secrets_verify_during_rotation(secret: str) -> None:
    headers = signed_now(rotating(now_ms()))
    assert Webhook(secret).verify(_BODY.content, headers) == {"name": "Zoë"}


def test_the_old_secret_signs_until_its_time_and_no_longer() -> None:
    endpoint = samples.endpoint(old_until=samples.AT)
    before = signing.standard(_BODY, samples.attempt(_ENTRY, at=samples.AT - 1), endpoint)
    after = signing.standard(_BODY, samples.attempt(_ENTRY, at=samples.AT), endpoint)
    assert before["webhook-signature"].count("v1,") == 2
    assert after["webhook-signature"].count("v1,") == 1


def test_signatures_are_apart_by_exactly_one_blank_with_the_present_one_first() -> None:
    attempt = samples.attempt(_ENTRY)
    both = signing.standard(_BODY, attempt, rotating(samples.AT))["webhook-signature"]
    one = signing.standard(_BODY, attempt, samples.endpoint())["webhook-signature"]
    assert re.fullmatch(r"v1,[A-Za-z0-9+/]{43}= v1,[A-Za-z0-9+/]{43}=", both)
    assert both.split(" ")[0] == one


def test_a_signature_is_the_published_computation() -> None:
    """The page's formula by hand: HMAC-SHA256 over id, time and body, keyed by the decoded text."""
    headers = signing.standard(_BODY, samples.attempt(_ENTRY), samples.endpoint())
    key = base64.b64decode(samples.SECRET[len("whsec_") :])
    assert key == bytes(range(32))
    signed = b"evt_01KVMR7XE0SABR24PA3EYWNYP2.1782014405." + _BODY.content
    proof = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers == {
        "content-type": "application/json",
        "webhook-id": "evt_01KVMR7XE0SABR24PA3EYWNYP2",
        "webhook-attempt": "1",
        "webhook-timestamp": "1782014405",
        "webhook-signature": f"v1,{proof}",
    }


def test_an_attempt_and_a_replay_say_so_outside_the_signature() -> None:
    plain = signing.standard(_BODY, samples.attempt(_ENTRY), samples.endpoint())
    again = signing.standard(
        _BODY, samples.attempt(_ENTRY, n=3, replay="rp_23456789abcd"), samples.endpoint()
    )
    assert again["webhook-attempt"] == "3"
    assert again["webhook-replay"] == "rp_23456789abcd"
    assert "webhook-replay" not in plain
    assert again["webhook-signature"] == plain["webhook-signature"]


def test_a_token_is_shown_where_there_is_one() -> None:
    attempt = samples.attempt(_ENTRY)
    with_token = signing.bearer(_BODY, attempt, samples.endpoint("plain"))
    without = signing.bearer(_BODY, attempt, samples.endpoint("plain", auth_token=None))
    assert with_token == without | {"authorization": "Bearer endpoint-token-1"}
    assert without == signing.standard(_BODY, attempt, samples.endpoint())


def verified_by_github(body: bytes, headers: Mapping[str, str], secret: str) -> bool:
    """Check as GitHub's page "Validating webhook deliveries" tells receivers to."""
    expected = hmac.new(secret.encode("utf-8"), msg=body, digestmod=hashlib.sha256).hexdigest()
    return hmac.compare_digest("sha256=" + expected, headers["x-hub-signature-256"])


def test_a_receiver_of_github_verifies_with_the_whole_text_of_the_secret() -> None:
    headers = signing.github(_BODY, samples.attempt(_ENTRY), samples.endpoint("github"))
    assert verified_by_github(_BODY.content, headers, samples.SECRET)
    assert not verified_by_github(_BODY.content + b" ", headers, samples.SECRET)
    assert not verified_by_github(_BODY.content, headers, samples.OLD_SECRET)
    assert headers["x-github-event"] == "punch.recorded"
    assert headers["x-github-delivery"] == headers["webhook-id"] == _ENTRY.id


def test_github_has_room_for_the_present_secret_only() -> None:
    headers = signing.github(_BODY, samples.attempt(_ENTRY), rotating(samples.AT))
    assert verified_by_github(_BODY.content, headers, samples.SECRET)
    assert headers["x-hub-signature-256"].count("sha256=") == 1


def verified_by_stripe(body: bytes, header: str, secret: str, now: int) -> bool:
    """Check as Stripe's page "Verify webhook signatures manually" tells receivers to."""
    pairs = [element.split("=", 1) for element in header.split(",")]
    (timestamp,) = [value for name, value in pairs if name == "t"]
    expected = hmac.new(
        secret.encode("utf-8"), timestamp.encode() + b"." + body, hashlib.sha256
    ).hexdigest()
    found = [value for name, value in pairs if name == "v1"]
    return abs(now - int(timestamp)) <= 300 and any(
        hmac.compare_digest(expected, value) for value in found
    )


@pytest.mark.parametrize("secret", [samples.SECRET, samples.OLD_SECRET])
def test_a_receiver_of_stripe_verifies_each_live_secret(secret: str) -> None:
    attempt = samples.attempt(_ENTRY)
    header = signing.stripe(_BODY, attempt, rotating(samples.AT))["stripe-signature"]
    now = attempt.at // 1000
    assert verified_by_stripe(_BODY.content, header, secret, now)
    assert not verified_by_stripe(_BODY.content + b" ", header, secret, now)
    assert not verified_by_stripe(_BODY.content, header, secret, now + 301)
    assert not verified_by_stripe(_BODY.content, header, secret + "x", now)


def test_a_stripe_signature_outside_a_rotation_is_one() -> None:
    header = signing.stripe(_BODY, samples.attempt(_ENTRY), samples.endpoint())["stripe-signature"]
    assert re.fullmatch(r"t=1782014405,v1=[0-9a-f]{64}", header)
    assert not verified_by_stripe(_BODY.content, header, samples.OLD_SECRET, 1_782_014_405)


@given(
    content=st.binary(max_size=200),
    key=st.binary(min_size=1, max_size=64),
    n=st.integers(min_value=1, max_value=99),
)
def test_the_reference_agrees_for_any_secret_and_content(
    content: bytes, key: bytes, n: int
) -> None:
    secret = "whsec_" + base64.b64encode(key).decode()
    endpoint = samples.endpoint(secret=secret)
    body = Rendered(content, "application/octet-stream")
    headers = signing.standard(body, Attempt("evt_1", "batch", now_ms(), n), endpoint)
    signed = f"evt_1.{headers['webhook-timestamp']}.".encode() + content
    proof = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{proof}"


def test_no_header_shows_a_secret() -> None:
    endpoint = rotating(samples.AT)
    for sign in (signing.standard, signing.bearer, signing.github, signing.stripe):
        shown = " ".join(sign(_BODY, samples.attempt(_ENTRY), endpoint).values())
        assert samples.SECRET.removeprefix("whsec_") not in shown
        assert samples.OLD_SECRET.removeprefix("whsec_") not in shown
