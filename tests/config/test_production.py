"""What production refuses, and when an installation is one."""

import secrets
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.env import Env
from config.production import choose_environment, refuse_unsafe

ENVIRONMENT = {"ALLOWED_HOSTS": "c.example", "BASE_URL": "https://c.example", "EMAIL_URL": "off"}


def refuse(environment: dict[str, str] | None = None, **changes: Any) -> None:
    values: dict[str, Any] = {
        "production": True,
        "debug": False,
        "base_url": (environment or ENVIRONMENT).get("BASE_URL", ""),
        "secret_key": secrets.token_urlsafe(48),
        "former_secret_keys": [secrets.token_urlsafe(48)],
        "field_keys": secrets.token_urlsafe(32),
        "signing_keys": secrets.token_urlsafe(32),
    }
    refuse_unsafe(Env(environment or ENVIRONMENT), **(values | changes))


def test_safe_values_pass() -> None:
    refuse()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"debug": True}, "DEBUG is on"),
        ({"secret_key": ""}, "SECRET_KEY is missing"),
        ({"secret_key": "change-me"}, "SECRET_KEY can be guessed"),
        ({"secret_key": "a" * 64}, "SECRET_KEY can be guessed"),
        ({"former_secret_keys": ["change-me"]}, "SECRET_KEY_FALLBACKS holds a key that can be guessed"),
        ({"field_keys": ""}, "FIELD_KEYS is missing"),
        ({"signing_keys": ""}, "AUDIT_SIGNING_KEYS is missing"),
        ({"field_keys": "same", "signing_keys": "same"}, "are the same"),
    ],
)
def test_an_unsafe_value_is_refused(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=sentence):
        refuse(**change)


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("ALLOWED_HOSTS", "", "ALLOWED_HOSTS is missing"),
        ("ALLOWED_HOSTS", "*", r"ALLOWED_HOSTS holds a \*"),
        ("ALLOWED_HOSTS", "c.example,*.example", r"ALLOWED_HOSTS holds a \*"),
        ("BASE_URL", "", "BASE_URL is missing"),
        ("BASE_URL", "http://c.example", "BASE_URL is not https"),
        ("EMAIL_URL", "", "EMAIL_URL is missing"),
    ],
)
def test_an_unsafe_variable_is_refused(variable: str, value: str, sentence: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=sentence):
        refuse(ENVIRONMENT | {variable: value})


def test_all_reasons_are_said_at_once() -> None:
    with pytest.raises(ImproperlyConfigured) as refused:
        refuse({"ALLOWED_HOSTS": "*"}, secret_key="", field_keys="", signing_keys="")

    assert str(refused.value).count("\n- ") == 6


def test_development_refuses_nothing() -> None:
    refuse({}, production=False, secret_key="", field_keys="", debug=True)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, "development"),
        ({"BASE_URL": "http://localhost:9000", "ALLOWED_HOSTS": "localhost,127.0.0.1,[::1]"}, "development"),
        ({"BASE_URL": "https://c.example"}, "production"),
        ({"ALLOWED_HOSTS": "c.example"}, "production"),
        ({"ALLOWED_HOSTS": "*"}, "production"),
        ({"ALLOWED_HOSTS": "c.example", "ENVIRONMENT": "development"}, "development"),
    ],
)
def test_an_installation_reached_from_outside_is_production(values: dict[str, str], expected: str) -> None:
    assert choose_environment(Env(values)) == expected
