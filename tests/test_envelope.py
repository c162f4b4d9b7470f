"""The cipher of client programs: the published vector, what is accepted, and what is refused.

Real: our vault. The other side is `openssl`, where the machine has it.
"""

import base64
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punchgate import vault

_KEY = "K7fQ2mXv9RtB4nLs8HcW3pZy6DgJ1aEu"
_PLAIN = (
    b'{"Load":{"UserInfo":[]},"OperationID":"j95xfejt3vr1",'
    b'"AuthToken":"0123456789abcdef0123456789abcdef","Time":"2026-06-21 09:30:00 GMT +0530"}'
)
_SEALED = (
    b"MwqhaMkGo2agvRBTOG4Yfe1sz9trY+R0ayesx1DNHjitIY/fEY0AMnDfDlFx+R4GGWmMqukcrgWPV7lDnJoA4aurdUGk"
    b"qHI467O/+7CHqcc5zcHpZwlQ3/1OAPE3vD0BR6JrVu86u6jP3k9yrsNUeWs1VHhvxq3EgAn3R6cooeqWD61gwGMK3cgq"
    b"v/PBz5mn"
)


def test_the_published_vector_holds_both_ways() -> None:
    assert len(_PLAIN) == 139
    assert vault.envelope_encrypt(_PLAIN, _KEY) == _SEALED
    assert vault.envelope_decrypt(_SEALED, _KEY) == _PLAIN


@pytest.mark.parametrize(
    "received",
    [
        b"\r\n".join(_SEALED[place : place + 76] for place in range(0, len(_SEALED), 76)),
        b" \t" + _SEALED + b"\n\n",
        b'"' + _SEALED + b'"',
        b' "' + _SEALED.replace(b"/", rb"\/") + b'" ',
        b'"' + _SEALED[:76] + rb"\r\n" + _SEALED[76:] + b'"',
    ],
)
def test_what_clients_put_around_the_base64_is_overlooked(received: bytes) -> None:
    assert vault.envelope_decrypt(received, _KEY) == _PLAIN


@pytest.mark.skipif(shutil.which("openssl") is None, reason="install openssl")
@pytest.mark.parametrize("padding", ["pkcs7", "zeros"])
def test_openssl_and_we_read_each_other(padding: str) -> None:
    cipher = ["openssl", "enc", "-aes-256-ecb", "-nosalt", "-K", _KEY.encode().hex()]
    plain, options = _PLAIN, [*cipher, "-base64", "-A"]
    if padding == "zeros":
        plain, options = _PLAIN + b"\0" * (-len(_PLAIN) % 16), [*options, "-nopad"]
    theirs = subprocess.run(options, input=plain, capture_output=True, check=True).stdout
    assert vault.envelope_decrypt(theirs, _KEY) == _PLAIN
    ours = vault.envelope_encrypt(_PLAIN, _KEY)
    opened = subprocess.run(
        [*cipher, "-base64", "-A", "-d"], input=ours, capture_output=True, check=True
    )
    assert opened.stdout == _PLAIN


@pytest.mark.parametrize(
    "received",
    [
        b"<html>",
        b"AAAA",
        b"not base64!",
        _SEALED[:-4],
        b'"' + _SEALED,
        b'"\\ud800"',
        base64.b64encode(b"x" * 15),
        "é".encode(),
    ],
)
def test_what_is_no_whole_block_in_base64_is_refused(received: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        vault.envelope_decrypt(received, _KEY)


@pytest.mark.parametrize("key", ["", "x" * 31, "x" * 33, "é" * 16, "é" * 32, "x" * 16])
def test_a_key_is_exactly_32_ascii_characters(key: str) -> None:
    assert not vault.is_envelope_key(key)
    with pytest.raises(ValueError, match="32 ASCII characters"):
        vault.envelope_encrypt(_PLAIN, key)
    with pytest.raises(ValueError, match="32 ASCII characters"):
        vault.envelope_decrypt(_SEALED, key)


def test_a_wrong_key_gives_noise_and_no_error() -> None:
    assert vault.envelope_decrypt(_SEALED, "x" * 32) != _PLAIN


@given(
    content=st.binary(max_size=100),
    key=st.text(st.characters(codec="ascii"), min_size=32, max_size=32),
)
def test_what_was_encrypted_decrypts(content: bytes, key: str) -> None:
    sealed = vault.envelope_encrypt(content, key)
    assert vault.envelope_decrypt(sealed, key) == content
    assert len(base64.b64decode(sealed)) == len(content) // 16 * 16 + 16
