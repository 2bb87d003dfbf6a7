"""What must never stand in a log."""

import io
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.logs import Redacting, redacted

_SECRET = st.text(alphabet=st.characters(min_codepoint=48, max_codepoint=122, categories=("L", "N")), min_size=8)


@given(_SECRET, st.sampled_from(("password", "PASSPHRASE", "api_key", "token", "db_password", "client-secret")))
def test_settings_lose_their_value(secret, name):
    for text in (f"{name}={secret} rest", f'{{"{name}": "{secret}"}}', f"{name}: '{secret}', user=ops"):
        found = redacted(text)
        assert name in found
        assert secret not in found.replace(name, "")


@given(_SECRET)
def test_headers_and_addresses_lose_theirs(secret):
    assert secret not in redacted(f"Authorization: Bearer {secret}")
    assert secret not in redacted(f"GET https://ops:{secret}@host/path")
    assert redacted(f"GET https://ops:{secret}@host/path").endswith("@host/path")


def test_a_private_key_is_cut_out_even_when_it_is_cut_off():
    whole = "before -----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY----- after"
    assert redacted(whole) == "before [redacted] after"
    assert "abc" not in redacted("x -----BEGIN RSA PRIVATE KEY-----\nabc")


@pytest.mark.parametrize("text", ["node gpu01: no route to host", "tokens=", "the key of gpu01 changed", "10.0.0.1:22"])
def test_other_words_stay(text):
    assert redacted(text) == text


def test_a_traceback_is_formatted_before_it_is_blotted():
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(Redacting("%(message)s"))
    log = logging.getLogger("tests.redacting")
    log.propagate = False
    log.addHandler(handler)
    try:
        raise ValueError("login with passphrase=hunter2hunter2 failed")
    except ValueError:
        log.exception("oops")
    assert "hunter2" not in out.getvalue()
    assert "ValueError" in out.getvalue()
