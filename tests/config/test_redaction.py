"""Secrets are found by value, in every form that honest software gives them."""

import base64
import html
import json
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import redaction
from config.redaction import MASK, Redactor, hide, hide_in_json, keep, passwords, remember

SECRET = 'k3y/\u00e9+?<&"\\Z q'
BYTES = SECRET.encode()


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test makes the process know, it forgets."""
    monkeypatch.setattr(redaction, "_kept", redaction._Sought({}, {}))
    monkeypatch.setattr(redaction, "_recent", {})


FORMS = {
    "itself": SECRET,
    "in lower case": SECRET.lower(),
    "in upper case": SECRET.upper(),
    "percent-encoded": quote(SECRET, safe=""),
    "percent-encoded, slashes kept": quote(SECRET),
    "percent-encoded in lower case": quote(SECRET, safe="").lower(),
    "as a form field": quote_plus(SECRET),
    "percent-encoded twice": quote(quote(SECRET, safe=""), safe=""),
    "in JSON": json.dumps(SECRET),
    "in JSON as UTF-8": json.dumps(SECRET, ensure_ascii=False),
    "in JSON in JSON": json.dumps(json.dumps({"a": SECRET})),
    "in JSON with slashes escaped": json.dumps(SECRET).replace("/", "\\/"),
    "in JSON for pages": json.dumps(SECRET).replace("<", "\\u003c").replace("&", "\\u0026"),
    "in HTML": html.escape(SECRET),
    "in a text of HTML": html.escape(SECRET, quote=False),
    "as Python shows it": repr(SECRET),
    "as Python shows its bytes": repr(BYTES),
    "base64": base64.b64encode(BYTES).decode(),
    "base64 behind a user": base64.b64encode(b"user:" + BYTES).decode(),
    "base64 behind two bytes": base64.b64encode(b"ab" + BYTES + b"cd").decode(),
    "base64url without padding": base64.urlsafe_b64encode(BYTES).decode().rstrip("="),
    "hexadecimal": BYTES.hex(),
    "hexadecimal in upper case": BYTES.hex().upper(),
    "read as Latin-1": BYTES.decode("latin-1"),
    "without what databases keep": "no" + SECRET + "\ufffd",
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_a_secret_is_found(form: str) -> None:
    masked = Redactor([SECRET])(f"before {form} after")

    assert MASK in masked
    assert masked.startswith("before ")
    assert masked.endswith(" after")
    assert "k3y" not in masked.lower()


@pytest.mark.parametrize("secret", ["Bearer t0ken-t0ken", "t0ken-t0ken"])
def test_the_credentials_behind_a_scheme_are_a_secret_by_themselves(secret: str) -> None:
    assert Redactor([secret])("no such token: t0ken-t0ken") == f"no such token: {MASK}"


def test_the_password_in_basic_credentials_is_a_secret_by_itself() -> None:
    basic = "Basic " + base64.b64encode(b"ada:correct horse").decode()

    masked = Redactor([basic])('{"user": "ada", "password": "correct horse", "both": "ada:correct horse"}')

    assert masked == f'{{"user": "ada", "password": "{MASK}", "both": "{MASK}"}}'


def test_each_line_of_a_long_secret_is_one() -> None:
    key = "-----BEGIN KEY-----\n" + "\n".join(character * 64 for character in "abcdef" * 20) + "\n-----END KEY-----\n"

    assert "cccc" not in Redactor([key])("line 3 is\r\n" + "c" * 64)
    assert "cccc" not in Redactor([key])(base64.b64encode(key.encode()).decode())


def test_names_values_and_numbers_of_a_json_value_are_cleaned() -> None:
    value = {"a 48151623": [{"48151623": 48151623}, -48151623.5, True, None, 42]}

    clean = Redactor(["48151623"]).json(value, json.dumps(value))

    assert clean == {f"a {MASK}": [{MASK: MASK}, f"-{MASK}.5", True, None, 42]}


def test_a_value_without_secrets_is_handed_back_as_it_is() -> None:
    value = {"a": [1, "b"]}

    assert Redactor([SECRET]).json(value, json.dumps(value)) is value


@given(st.text(min_size=4), st.text(), st.text())
def test_whatever_the_secret_it_is_found_in_the_json_of_what_holds_it(secret: str, before: str, after: str) -> None:
    value = [before + secret + after]

    clean = Redactor([secret]).json(value, json.dumps(value, ensure_ascii=False))

    assert MASK in clean[0]


@given(st.text(min_size=1), st.text(max_size=3))
def test_what_holds_none_is_left_alone(text: str, secret: str) -> None:
    assert Redactor([secret])(text) == text


def test_the_password_of_a_url_is_a_secret_as_written_and_decoded() -> None:
    url = "postgresql://u:p%40ss@h/d"

    assert passwords(url) == {url, "p%40ss", "p@ss"}
    assert passwords("postgresql://u@h/d?password=p%40ss") == {"postgresql://u@h/d?password=p%40ss", "p@ss"}
    assert passwords("shop.sqlite") == set()
    assert passwords("postgresql://[hunter2") == {"postgresql://[hunter2"}


def test_the_process_knows_what_it_was_told_to_keep_and_what_was_handed_out() -> None:
    keep("installation-key", "postgresql://app:hunter2-hunter2@db/x", "short", "redis://cache:6379/0")
    remember("tenant-token")

    told = hide("installation-key hunter2-hunter2 tenant-token short redis://cache:6379/0")

    assert told == f"{MASK} {MASK} {MASK} short redis://cache:6379/0"
    assert Redactor([])("installation-key tenant-token") == f"{MASK} tenant-token"


def test_what_may_be_a_word_is_hidden_from_results_alone() -> None:
    remember("error")

    assert hide("an error") == "an error"
    assert Redactor(["error"])("an error") == f"an {MASK}"


def test_what_is_looked_for_is_made_once_and_known_for_no_longer_than_the_secret(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[str] = []
    forms = redaction._forms

    def noted(secret: str) -> Iterator[str]:
        made.append(secret)
        return forms(secret)

    monkeypatch.setattr(redaction, "_forms", noted)
    keep("installation-key")
    for _ in range(3):
        assert Redactor([SECRET, "t0ken-t0ken"])(f"{SECRET} installation-key") == f"{MASK} {MASK}"
    assert made == ["installation-key", SECRET, "t0ken-t0ken"]

    monkeypatch.setattr(redaction, "_recent", {})
    Redactor([SECRET])
    assert made[3:] == [SECRET]


def test_what_is_kept_later_is_found_as_well() -> None:
    assert Redactor([])("installation-key") == "installation-key"
    keep("installation-key")

    assert Redactor([])("installation-key") == MASK
    assert Redactor([]).json(["installation-key"], '["installation-key"]') == [MASK]


def test_only_the_last_that_were_handed_out_are_remembered() -> None:
    for number in range(2000):
        remember(f"tenant-token-{number:04}.")

    assert len(redaction._recent) == 512
    assert hide("tenant-token-1999. tenant-token-0000.") == f"{MASK} tenant-token-0000."


@pytest.mark.parametrize("secret", ['quote"d and \\', "ends in \\", 'begins" with', "12345678"])
def test_json_stays_json(secret: str) -> None:
    keep(secret)
    text = json.dumps({"a": f"x{secret}y", secret: [secret, {"n": 12345678}], "b": 'z"'})

    clean = hide_in_json(text)

    assert secret not in str(json.loads(clean))
