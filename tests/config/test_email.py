"""EMAIL_URL as Django's mail settings."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.email import email_settings


def test_starttls_is_the_default() -> None:
    email = email_settings("smtp://us%40er:p%2Fw@mail.example")

    assert (email.host, email.port, email.user, email.password) == ("mail.example", 587, "us@er", "p/w")
    assert (email.starttls, email.tls) == (True, False)


def test_smtps_speaks_tls_from_the_first_byte() -> None:
    email = email_settings("smtps://mail.example")

    assert (email.port, email.starttls, email.tls) == (465, False, True)


def test_a_relay_on_this_machine_may_go_without() -> None:
    assert email_settings("smtp://localhost:25?tls=none").starttls is False


@pytest.mark.parametrize(("url", "backend"), [("", "console"), ("console", "console"), ("off", "dummy")])
def test_mail_that_goes_nowhere(url: str, backend: str) -> None:
    assert email_settings(url).backend == f"django.core.mail.backends.{backend}.EmailBackend"


@pytest.mark.parametrize("url", ["mail.example", "http://mail.example", "smtp://mail.example?tls=perhaps"])
def test_anything_else_is_refused(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="EMAIL_URL"):
        email_settings(url)
