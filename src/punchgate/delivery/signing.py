"""The headers of an attempt: who it is, which try, and proof that it came from us.

Pure: bytes, ids and secrets in, headers out; the clock is in the attempt. What is signed is what is
sent, byte for byte. It knows no format but what its headers need, and logs nothing.
"""

from binascii import a2b_base64, b2a_base64
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final

from punchgate.delivery.form import Attempt, Rendered
from punchgate.domain.endpoint import Endpoint

_PREFIX: Final = "whsec_"
#: Bytes that SHA-256 takes at a time, and what HMAC mixes a key with.
_BLOCK: Final = 64
_INNER: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER: Final = bytes(byte ^ 0x5C for byte in range(256))


def standard(rendered: Rendered, attempt: Attempt, endpoint: Endpoint) -> dict[str, str]:
    """Sign as Standard Webhooks: one `v1` for each secret that is live, the present one first.

    Source:  docs/reference/webhooks.md, "Verify". Between two signatures stands exactly one blank:
             the reference verifiers fail on two.
    """
    at = str(attempt.at // 1000)
    signed = f"{attempt.id}.{at}.".encode() + rendered.content
    headers = _named(rendered, attempt)
    headers["webhook-timestamp"] = at
    headers["webhook-signature"] = " ".join(
        [
            "v1," + b2a_base64(_hmac(_key(secret), signed), newline=False).decode()
            for secret in endpoint.secrets.live(attempt.at)
        ]
    )
    return headers


def bearer(rendered: Rendered, attempt: Attempt, endpoint: Endpoint) -> dict[str, str]:
    """Sign as Standard Webhooks, and show the endpoint's token where it has one."""
    headers = standard(rendered, attempt, endpoint)
    if endpoint.secrets.auth_token is not None:
        headers["authorization"] = f"Bearer {endpoint.secrets.auth_token}"
    return headers


def github(rendered: Rendered, attempt: Attempt, endpoint: Endpoint) -> dict[str, str]:
    """Sign as GitHub does: the whole text of the secret is the key.

    There is room for one signature, so only the present secret signs: to change it, pause the
    endpoint, swap the secret at the receiver, resume.
    """
    present = endpoint.secrets.live(attempt.at)[0]
    headers = _named(rendered, attempt)
    headers["x-hub-signature-256"] = f"sha256={_hex(present, rendered.content)}"
    headers["x-github-event"] = attempt.type
    headers["x-github-delivery"] = attempt.id
    return headers


def stripe(rendered: Rendered, attempt: Attempt, endpoint: Endpoint) -> dict[str, str]:
    """Sign as Stripe does: the time in the signature, one `v1` for each secret that is live."""
    at = str(attempt.at // 1000)
    signed = f"{at}.".encode() + rendered.content
    proofs = [f",v1={_hex(secret, signed)}" for secret in endpoint.secrets.live(attempt.at)]
    headers = _named(rendered, attempt)
    headers["stripe-signature"] = f"t={at}{''.join(proofs)}"
    return headers


def _named(rendered: Rendered, attempt: Attempt) -> dict[str, str]:
    headers = {
        "content-type": rendered.content_type,
        "webhook-id": attempt.id,
        "webhook-attempt": str(attempt.n),
    }
    if attempt.replay is not None:
        headers["webhook-replay"] = attempt.replay
    return headers


def _hex(secret: str, signed: bytes) -> str:
    return _hmac(secret.encode(), signed).hex()


def _hmac(key: bytes, signed: bytes) -> bytes:
    """Compute HMAC-SHA256; `hmac.digest` lets go of the interpreter, which costs more than this."""
    inner, outer = _pads(key)
    inside, outside = inner.copy(), outer.copy()
    inside.update(signed)
    outside.update(inside.digest())
    return bytes(outside.digest())


@lru_cache(maxsize=256)
def _pads(key: bytes) -> tuple[Any, Any]:
    """Give the two hashes that HMAC begins with (RFC 2104), which are the key's alone."""
    block = (key if len(key) <= _BLOCK else sha256(key).digest()).ljust(_BLOCK, b"\0")
    return sha256(block.translate(_INNER)), sha256(block.translate(_OUTER))


# Decoding costs a tenth of a signature, and an endpoint has at most six secrets.
@lru_cache(maxsize=256)
def _key(secret: str) -> bytes:
    return a2b_base64(secret.removeprefix(_PREFIX) + "==")
