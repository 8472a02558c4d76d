"""TEMPORAL_* as settings."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.env import Env
from config.temporal import TemporalSettings, temporal_settings


def read(**variables: str) -> TemporalSettings:
    return temporal_settings(Env(variables))


def test_without_any_it_is_a_server_on_this_machine() -> None:
    assert read() == TemporalSettings("127.0.0.1:7233", "default", "countersign")


def test_a_key_goes_over_tls_and_is_not_shown() -> None:
    settings = read(TEMPORAL_ADDRESS="temporal.example:7233", TEMPORAL_API_KEY="secret-key")

    assert settings.tls
    assert settings.api_key == "secret-key"
    assert "secret-key" not in repr(settings)


def test_a_client_certificate_is_read() -> None:
    settings = read(TEMPORAL_TLS_CERT="-- cert --", TEMPORAL_TLS_KEY="-- key --", TEMPORAL_TLS_CA="-- ca --")

    assert settings.tls
    assert (settings.ca, settings.certificate, settings.key) == ("-- ca --", "-- cert --", "-- key --")


def test_a_rate_is_calls_within_seconds() -> None:
    assert read(TEMPORAL_MODEL_RATE="600/minute").model_rate == (600, 60)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"TEMPORAL_API_KEY": "k", "TEMPORAL_TLS": "0"}, "leave TEMPORAL_TLS out"),
        ({"TEMPORAL_TLS_CERT": "c"}, "set both or neither"),
        ({"TEMPORAL_ADDRESS": "http://temporal:7233"}, "write it as host:port"),
        ({"TEMPORAL_ADDRESS": "temporal"}, "write it as host:port"),
        ({"TEMPORAL_MODEL_RATE": "often"}, "600/minute"),
    ],
)
def test_what_cannot_be_right_is_refused(variables: dict[str, str], said: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=said):
        read(**variables)
