"""What tells production from development, and what production refuses."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from config.env import Env

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1", "[::1]"})
MAKE_KEY = 'make one with python -c "import secrets; print(secrets.token_urlsafe(32))"'
MIN_SECRET_LENGTH = 40


def choose_environment(env: Env) -> str:
    """ENVIRONMENT; when unset, production if anything says that the installation is reached from outside."""
    hosts = {host.lower() for host in env.items("ALLOWED_HOSTS")}
    address = env.url("BASE_URL")
    if address:
        hosts.add(urlsplit(address).hostname or "")
    return env.choice("ENVIRONMENT", ("development", "production"), "production" if hosts - LOOPBACK else "development")


def refuse_unsafe(
    env: Env,
    *,
    production: bool,
    debug: bool,
    base_url: str,
    secret_key: str,
    former_secret_keys: Sequence[str],
    field_keys: str,
    signing_keys: str,
) -> None:
    """Raise ImproperlyConfigured with one sentence for each value that is unsafe in production."""
    if not production:
        return
    hosts = env.items("ALLOWED_HOSTS")
    address = urlsplit(base_url)
    rules = [
        (debug, "DEBUG is on, which shows settings and data to visitors: remove it."),
        (not secret_key, f"SECRET_KEY is missing: {MAKE_KEY} and keep it."),
        (bool(secret_key) and _can_be_guessed(secret_key), f"SECRET_KEY can be guessed: {MAKE_KEY}."),
        (
            any(map(_can_be_guessed, former_secret_keys)),
            "SECRET_KEY_FALLBACKS holds a key that can be guessed, and what it signed is believed: remove it.",
        ),
        (not field_keys, f"FIELD_KEYS is missing, so secrets can't be encrypted: {MAKE_KEY} and keep it."),
        (not signing_keys, f"AUDIT_SIGNING_KEYS is missing, so the audit log can't be signed: {MAKE_KEY} and keep it."),
        (
            bool(field_keys) and field_keys == signing_keys,
            "FIELD_KEYS and AUDIT_SIGNING_KEYS are the same: give each its own keys.",
        ),
        (not hosts, "ALLOWED_HOSTS is missing: name the hosts people reach this installation by."),
        (
            any(host == "*" or host.startswith("*") for host in hosts),
            "ALLOWED_HOSTS holds a *, which lets anybody forge links: name the hosts (a leading dot means subdomains).",
        ),
        (not env.text("BASE_URL"), "BASE_URL is missing: set it to the https:// address people use."),
        (
            bool(env.text("BASE_URL")) and address.scheme != "https",
            "BASE_URL is not https, so passwords and keys would travel in clear: put TLS in front and use https://.",
        ),
        (
            not env.secret("EMAIL_URL"),
            "EMAIL_URL is missing: set smtp://user:password@host:587?tls=starttls, or off to send no mail.",
        ),
    ]
    sentences = [sentence for refused, sentence in rules if refused]
    if sentences:
        raise ImproperlyConfigured("\n".join(["Not started in production mode:", *(f"- {line}" for line in sentences)]))


def _can_be_guessed(key: str) -> bool:
    return len(key) < MIN_SECRET_LENGTH or len(set(key)) < 10
