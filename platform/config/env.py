"""Typed reading of the environment.

Each reader returns a value of one type or raises ImproperlyConfigured with a sentence that says how to mend it.
An unset variable and an empty one mean the same: the default.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from django.core.exceptions import ImproperlyConfigured

from egress.allow import parse_allow
from egress.errors import EgressAllowError

FIELD_KEY_BYTES = 32
PROGRAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
MAX_RATE = 100_000_000
SECONDS = {"second": 1, "minute": 60, "hour": 3600}

KNOWN = (
    "ALLOWED_HOSTS",
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_BASE_URL",
    "API_KEY_MAX_DAYS",
    "AUDIT_CHECKPOINTS_DIR",
    "AUDIT_SIGNING_KEYS",
    "BASE_URL",
    "CHECKPOINT_MAIL",
    "CHECKPOINT_MAIL_HOURS",
    "DATABASE_OWNER_URL",
    "DATABASE_POOL_SIZE",
    "DATABASE_URL",
    "DATA_DIR",
    "DEBUG",
    "EGRESS_ALLOW",
    "WEBHOOKS_ALLOW",
    "EMAIL_FROM",
    "EMAIL_URL",
    "ENGINE",
    "ENVIRONMENT",
    "EXPORTS_BYTES",
    "FIELD_KEYS",
    "LEASE_SECONDS",
    "LOG_LEVEL",
    "LOG_MASKS",
    "MAX_BODY_BYTES",
    "MCP_STDIO_ALLOW",
    "METRICS_TENANTS",
    "METRICS_TOKEN",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "PROVIDER_CONCURRENCY",
    "PROVIDER_TOKENS_PER_MINUTE",
    "RATE_LIMITS_ADDRESS",
    "RATE_LIMITS_FAILURES",
    "RATE_LIMITS_KEY",
    "RATE_LIMITS_REFUSALS",
    "RATE_LIMITS_TENANT",
    "RATE_LIMITS_USER",
    "REDIS_URL",
    "RUN_TRIES",
    "SECRET_KEY",
    "SECRET_KEY_FALLBACKS",
    "SESSION_HOURS",
    "SESSION_IDLE_MINUTES",
    "STREAMS_KEY",
    "STREAMS_TENANT",
    "STREAMS_USER",
    "TEMPORAL_ADDRESS",
    "TEMPORAL_API_KEY",
    "TEMPORAL_MODEL_RATE",
    "TEMPORAL_NAMESPACE",
    "TEMPORAL_TASK_QUEUE",
    "TEMPORAL_TLS",
    "TEMPORAL_TLS_CA",
    "TEMPORAL_TLS_CERT",
    "TEMPORAL_TLS_KEY",
    "TRUST_PROXY",
    "WITNESSES",
    "WITNESS_ALLOW",
    "WITNESS_SECONDS",
    "WORKERS",
)
"""Every variable that settings.py reads."""


@dataclass(frozen=True)
class Env:
    """The variables of one process."""

    values: Mapping[str, str] = field(repr=False)
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

    def choices(self, name: str, choices: tuple[str, ...], default: tuple[str, ...]) -> tuple[str, ...]:
        """Several of `choices`, separated by commas, or `none` of them."""
        items = self.items(name, default)
        if items == ("none",):
            return ()
        for item in items:
            if item not in choices:
                raise ImproperlyConfigured(f"{name} names {item!r}: take some of {', '.join(choices)}, or none.")
        return items

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

    def rate(self, name: str, default: str) -> tuple[int, int] | None:
        """A rate such as 600/minute, as requests and seconds; None when it is off."""
        value = self.text(name, default)
        number, _, unit = value.partition("/")
        if value == "off":
            return None
        if not (number.isascii() and number.isdigit() and 0 < int(number) <= MAX_RATE and unit in SECONDS):
            raise ImproperlyConfigured(f"{name} is {value!r}: write a rate such as 600/minute, or off.")
        return int(number), SECONDS[unit]

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
        """A list of `host:port`, each an exact place (`egress.allow`)."""
        try:
            parse_allow(self.items(name), setting=name)
        except EgressAllowError as error:
            raise ImproperlyConfigured(str(error)) from None
        return self.items(name)

    def host_ports_or_off(self, name: str) -> tuple[str, ...] | None:
        """The same, `off` for none; None when it is not set."""
        if self.text(name) == "off":
            return ()
        return self.host_ports(name) or None

    def programs(self, name: str) -> tuple[str, ...]:
        """A list of programs, each as an absolute path or as `name=/path`."""
        for item in self.items(name):
            called, equals, path = item.rpartition("=")
            if not path.startswith("/") or (equals and not PROGRAM.fullmatch(called)):
                raise ImproperlyConfigured(f"{name}: {item!r} is neither /path/of/program nor name=/path/of/program.")
        return self.items(name)


def split_url(name: str, value: str, schemes: tuple[str, ...]) -> SplitResult:
    """Take a URL apart, or raise ImproperlyConfigured naming the variable (not the value: it may hold a password)."""
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018 - the property raises ValueError for a port that is none
    except ValueError:  # whose text repeats parts of the URL
        raise ImproperlyConfigured(
            f"{name} is no URL: the port is no number, or user name or password hold a character to percent-encode."
        ) from None
    if parts.scheme not in schemes or not (parts.netloc or parts.query or parts.scheme == "unix"):
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
