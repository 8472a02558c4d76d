"""Typed reading of the environment.

Each reader returns a value of one type or raises ImproperlyConfigured with a sentence that says how to mend it.
An unset variable and an empty one mean the same: the default.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from django.core.exceptions import ImproperlyConfigured

FIELD_KEY_BYTES = 32

KNOWN = (
    "ALLOWED_HOSTS",
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_BASE_URL",
    "AUDIT_SIGNING_KEYS",
    "BASE_URL",
    "DATABASE_OWNER_URL",
    "DATABASE_POOL_SIZE",
    "DATABASE_URL",
    "DATA_DIR",
    "DEBUG",
    "EGRESS_ALLOW",
    "EMAIL_FROM",
    "EMAIL_URL",
    "ENGINE",
    "ENVIRONMENT",
    "FIELD_KEYS",
    "LOG_LEVEL",
    "MAX_BODY_BYTES",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "REDIS_URL",
    "SECRET_KEY",
    "TEMPORAL_ADDRESS",
    "TEMPORAL_NAMESPACE",
    "TRUST_PROXY",
    "WORKERS",
)
"""Every variable that settings.py reads."""


@dataclass(frozen=True)
class Env:
    """The variables of one process."""

    values: Mapping[str, str]
    """Usually os.environ."""

    def text(self, name: str, default: str = "") -> str:
        """The value without surrounding white space, or `default`."""
        return self.values.get(name, "").strip() or default

    def secret(self, name: str) -> str:
        """A secret given as NAME, or as the content of the file named by NAME_FILE; "" when neither is set.

        Raises ImproperlyConfigured if both are set or the file can't be read.
        """
        direct, path = self.text(name), self.text(f"{name}_FILE")
        if direct and path:
            raise ImproperlyConfigured(f"{name} and {name}_FILE are both set: keep one of them.")
        if not path:
            return direct
        try:
            return Path(path).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise ImproperlyConfigured(f"{name}_FILE names {path}, which can't be read: {reason}.") from error

    def choice(self, name: str, choices: tuple[str, ...], default: str) -> str:
        """One of `choices`."""
        value = self.text(name, default)
        if value not in choices:
            raise ImproperlyConfigured(f"{name} is {value!r}: set it to one of {', '.join(choices)}.")
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        """1, true, yes, on or 0, false, no, off, in any case."""
        value = self.text(name).lower()
        if not value:
            return default
        if value in {"1", "true", "yes", "on"}:
            return True
        if value in {"0", "false", "no", "off"}:
            return False
        raise ImproperlyConfigured(f"{name} is {value!r}: set it to 1 or 0.")

    def integer(self, name: str, default: int, *, minimum: int, maximum: int) -> int:
        """A whole number between `minimum` and `maximum`, both included."""
        value = self.text(name)
        if not value:
            return default
        try:
            number = int(value)
        except ValueError:
            number = minimum - 1
        if not minimum <= number <= maximum:
            raise ImproperlyConfigured(
                f"{name} is {value!r}: set it to a whole number between {minimum} and {maximum}."
            )
        return number

    def items(self, name: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        """A comma-separated list, empty items left out."""
        return tuple(item for part in self.text(name).split(",") if (item := part.strip())) or default

    def url(self, name: str, default: str = "", *, schemes: tuple[str, ...] = ("http", "https")) -> str:
        """An absolute URL of one of `schemes`, without the slash at its end; "" when unset and without default."""
        value = self.text(name, default).rstrip("/")
        if value:
            split_url(name, value, schemes)
        return value

    def host_ports(self, name: str) -> tuple[str, ...]:
        """A list of `host:port`; the port may be `*` for every port of that host."""
        for item in self.items(name):
            host, colon, port = item.rpartition(":")
            numeric = port.isascii() and port.isdigit() and 0 < int(port) < 65536
            if not host or not colon or not (port == "*" or numeric):
                raise ImproperlyConfigured(
                    f"{name} holds {item!r}: write each place as host:port, for example crm:8443."
                )
        return self.items(name)


def split_url(name: str, value: str, schemes: tuple[str, ...]) -> SplitResult:
    """Take a URL apart, or raise ImproperlyConfigured naming the variable (not the value: it may hold a password)."""
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018 - the property raises ValueError for a port that is none
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} is no URL: {error}.") from error
    if parts.scheme not in schemes or not (parts.netloc or parts.query):
        raise ImproperlyConfigured(f"{name} is no URL of the form {schemes[0]}://host[:port]: mend or remove it.")
    return parts


def decode_keys(name: str, items: tuple[str, ...]) -> tuple[bytes, ...]:
    """Decode keys of 32 bytes each, given in base64url with or without padding, newest first."""
    keys = []
    for position, item in enumerate(items, 1):
        try:
            key = base64.b64decode(item + "=" * (-len(item) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if len(key) != FIELD_KEY_BYTES:
            raise ImproperlyConfigured(
                f"Key {position} of {name} is not base64url of {FIELD_KEY_BYTES} bytes: make one with"
                ' python -c "import secrets; print(secrets.token_urlsafe(32))".'
            )
        keys.append(key)
    return tuple(keys)
