"""Which answers to the `cams` forms are an acknowledgement, case by case. Nothing is sent."""

import base64
import json
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punchgate import registry, vault
from punchgate.delivery.form import Answer, Verdict
from punchgate.domain.endpoint import FormatName
from tests.delivery import samples

_YOUNG: Final[tuple[FormatName, ...]] = ("cams", "cams-v2")
_ALL: Final[tuple[FormatName, ...]] = ("cams", "cams-v2", "cams-v1")
_DONE: Final = b'{"status":"done"}'
_KEY: Final = samples.SECURITY_KEY


def judged(
    name: FormatName,
    body: bytes,
    status: int = 200,
    *,
    is_cut: bool = False,
    key: str | None = None,
) -> Verdict:
    endpoint = samples.endpoint(name, security_key=key)
    answer = Answer(status, {"content-type": "application/text"}, body, is_cut)
    return registry.FORMATS[name].accepted(answer, [samples.entry()], endpoint)


@pytest.mark.parametrize("name", _ALL)
@pytest.mark.parametrize(
    "body",
    [
        b'{"status":"done"}',
        b'{"status":"ok"}',
        b'{"Status":"Done"}',
        b'{"STATUS":"OK","message":"Employee not found"}',
        b' \r\n{ "message" : [1, {}], "status" : "done" }\n\n',
        b'\xef\xbb\xbf{"status":"done"}',
        b'\n\xef\xbb\xbf\xef\xbb\xbf {"status":"done"}\xef\xbb\xbf',
        b'{"status":"done","message":"caf\xe9"}',
        b'{"status":"done","data":{"status":"error"}}',
    ],
)
def test_done_and_ok_are_a_yes(name: FormatName, body: bytes) -> None:
    for status in (200, 201):
        assert judged(name, body, status) == Verdict(is_accepted=True)


@pytest.mark.parametrize("name", _ALL)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"<html>done</html>",
        b'{"status":"error"}',
        b'{"status":"API_RESPONSE_INVALID_REQUEST_DATA"}',
        b'{"status":"done!"}',
        b'{"status":" done"}',
        b'{"status":true}',
        b'{"status":1}',
        b'{"status":null}',
        b'{"status":["done"]}',
        b'{"status":{"status":"done"}}',
        b'{"data":{"status":"done"}}',
        b'{"state":"done"}',
        b"{}",
        b"null",
        b'[{"status":"done"}]',
        b'["status","done"]',
        b'[["status","done"]]',
        b'"{\\"status\\":\\"done\\"}"',
        b'{"status":"done"',
        b'{"status":"done"} and more',
        b'{"status":"done"}{"status":"done"}',
        # Two words: a no counts.
        b'{"status":"done","Status":"error"}',
        b'{"status":"error","status":"done"}',
        b"{'status':'done'}",
        b"[" * 16_384,
        b"done.",
        b"\xff\xfe",
    ],
)
def test_anything_else_is_a_no(name: FormatName, body: bytes) -> None:
    verdict = judged(name, body)
    assert not verdict.is_accepted
    assert verdict.reason


@pytest.mark.parametrize("name", _ALL)
@pytest.mark.parametrize("status", [202, 204, 206, 299, 301, 302, 400, 403, 404, 410, 429, 500])
def test_no_other_status_is_a_yes_whatever_it_says(name: FormatName, status: int) -> None:
    assert judged(name, _DONE, status) == Verdict(is_accepted=False, reason=f"status {status}")
    assert not judged(name, b"ok", status).is_accepted


@pytest.mark.parametrize(
    "body", [b"ok", b"OK", b"done", b" Done \r\n", b"\xef\xbb\xbfok", b"\n\nok"]
)
def test_version_one_takes_the_bare_word(body: bytes) -> None:
    for status in (200, 201):
        assert judged("cams-v1", body, status).is_accepted
    for name in _YOUNG:
        assert not judged(name, body).is_accepted


@pytest.mark.parametrize("body", [b'"ok"', b"ok ok", b"okay", b"not ok", b"0k"])
def test_version_one_takes_no_other_word(body: bytes) -> None:
    assert not judged("cams-v1", body).is_accepted


@pytest.mark.parametrize("name", _ALL)
def test_a_body_that_was_cut_before_its_end_is_a_no(name: FormatName) -> None:
    body = b'{"status":"done","message":"' + b"x" * 16_000
    assert not judged(name, body, is_cut=True).is_accepted
    # The object ended before the limit; what follows it was blank as far as we read.
    assert judged(name, _DONE + b" " * 16_000, is_cut=True).is_accepted


def test_a_refusal_says_what_was_answered() -> None:
    assert judged("cams", b'{"status":"error"}').reason == (
        'the answer does not say `done`: {"status":"error"}'
    )
    assert judged("cams", b"<html>").reason == "the answer is no JSON object: <html>"
    assert len(judged("cams", b"x" * 16_000).reason) < 400


def test_an_encrypted_answer_is_read_with_the_key() -> None:
    sealed = vault.envelope_encrypt(_DONE, _KEY)
    in_lines = b"\r\n".join(sealed[place : place + 8] for place in range(0, len(sealed), 8))
    for body in (sealed, b"\xef\xbb\xbf" + sealed, in_lines, b'"' + sealed + b'"'):
        assert judged("cams", body, key=_KEY).is_accepted


def test_with_a_key_a_plain_answer_is_still_an_answer() -> None:
    assert judged("cams", _DONE, key=_KEY).is_accepted
    assert not judged("cams", b'{"status":"error"}', key=_KEY).is_accepted


def test_an_encrypted_no_is_a_no() -> None:
    sealed = vault.envelope_encrypt(b'{"status":"error"}', _KEY)
    assert judged("cams", sealed, key=_KEY).reason.endswith('{"status":"error"}')
    assert not judged("cams", vault.envelope_encrypt(_DONE, _KEY), 403, key=_KEY).is_accepted


def test_an_answer_that_does_not_decrypt_is_a_no() -> None:
    foreign = vault.envelope_encrypt(_DONE, "x" * 32)
    for body in (b"", b"<html>", b"AAAA", foreign, base64.b64encode(b"x" * 32), b'"\\ud800"'):
        assert not judged("cams", body, key=_KEY).is_accepted


def test_without_a_key_an_encrypted_answer_is_a_no() -> None:
    sealed = vault.envelope_encrypt(_DONE, _KEY)
    assert not judged("cams", sealed).is_accepted
    assert not judged("cams-v2", sealed, key=_KEY).is_accepted


@given(body=st.binary(max_size=80), name=st.sampled_from(_ALL), with_key=st.booleans())
def test_noise_is_a_no_and_never_raises(body: bytes, name: FormatName, with_key: bool) -> None:  # noqa: FBT001 (hypothesis names it)
    verdict = judged(name, b"?" + body, key=_KEY if with_key else None)
    assert not verdict.is_accepted


@given(
    extra=st.dictionaries(
        st.text(max_size=8).filter(lambda key: key.lower() != "status"),
        st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=5),
        max_size=4,
    ),
    key=st.sampled_from(["status", "Status", "sTATUS"]),
    word=st.sampled_from(["done", "DONE", "Ok", "error", "don", ""]),
    name=st.sampled_from(_ALL),
)
def test_other_keys_change_nothing(
    extra: dict[str, object], key: str, word: str, name: FormatName
) -> None:
    body = json.dumps({**extra, key: word}).encode()
    assert judged(name, body).is_accepted == (word.lower() in {"done", "ok"})
