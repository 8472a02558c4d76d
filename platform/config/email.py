"""EMAIL_URL as Django's mail settings."""

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qs, unquote

from django.core.exceptions import ImproperlyConfigured

from config.env import split_url

#: The backend that sends nothing.
OFF: Final = "django.core.mail.backends.dummy.EmailBackend"

#: The backend that prints: for developers, who have no mail server.
CONSOLE: Final = "django.core.mail.backends.console.EmailBackend"


@dataclass(frozen=True)
class Email:
    """Where mail goes."""

    backend: str
    """Dotted path of Django's mail backend."""
    host: str = ""
    port: int = 0
    user: str = ""
    password: str = field(default="", repr=False)
    starttls: bool = False
    """TLS begun on a plain connection (usually port 587)."""
    tls: bool = False
    """TLS from the first byte (usually port 465)."""


def email_settings(url: str) -> Email:
    """Read `smtp://user:password@host:port?tls=starttls|none`, `smtps://…`, `console` or `off`; "" is console.

    Raises ImproperlyConfigured for anything else, without repeating the value (it may hold a password).
    """
    if url in {"", "console", "console:"}:
        return Email(CONSOLE)
    if url == "off":
        return Email(OFF)
    parts = split_url("EMAIL_URL", url, ("smtp", "smtps"))
    mode = parse_qs(parts.query).get("tls", ["starttls"])[0]
    if mode not in {"starttls", "none"} or not parts.hostname:
        raise ImproperlyConfigured("EMAIL_URL is smtp://user:password@host:587?tls=starttls (or tls=none): mend it.")
    implicit = parts.scheme == "smtps"
    return Email(
        backend="django.core.mail.backends.smtp.EmailBackend",
        host=parts.hostname,
        port=parts.port or (465 if implicit else 587),
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        starttls=not implicit and mode == "starttls",
        tls=implicit,
    )
