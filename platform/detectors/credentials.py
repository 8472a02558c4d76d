"""Credentials by their form: the patterns of detect-secrets and a few that it lacks, searched by RE2. Pure.

Left out of detect-secrets: what looks for randomness or for words beside it (built for source code, where nothing
else is long and random), and forms so loose that ordinary words have them.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from importlib import import_module
from typing import Any, Final

from detectors.texts import Span, compiled

_PLUGINS: Final = {
    "aws": "AWSKeyDetector",
    "azure_storage_key": "AzureStorageKeyDetector",
    "basic_auth": "BasicAuthDetector",
    "discord": "DiscordBotTokenDetector",
    "github_token": "GitHubTokenDetector",
    "gitlab_token": "GitLabTokenDetector",
    "jwt": "JwtTokenDetector",
    "mailchimp": "MailchimpDetector",
    "npm": "NpmDetector",
    "openai": "OpenAIDetector",
    "pypi_token": "PypiTokenDetector",
    "sendgrid": "SendGridDetector",
    "slack": "SlackDetector",
    "square_oauth": "SquareOAuthDetector",
    "stripe": "StripeDetector",
    "telegram_token": "TelegramBotTokenDetector",
    "twilio": "TwilioKeyDetector",
}

#: The platform's own keys (`tenants.actions.api_keys`), its supplier's, and others of a form of their own; a private
#: key with all that stands in it; what an Authorization header carries.
_OURS: Final = (
    r"\bcs_[A-Za-z0-9_-]{32,}",
    r"\bsk-ant-[A-Za-z0-9_-]{20,}",
    r"\bsk-(?:proj|svcacct|admin)-[A-Za-z0-9_-]{20,}",
    r"\bgithub_pat_[A-Za-z0-9_]{22,}",
    r"\bnpm_[A-Za-z0-9]{36}",
    r"\bAIza[0-9A-Za-z_-]{35}",
    r"\bhf_[A-Za-z0-9]{30,}",
    r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\z)",
    r"(?i)\b(?:bearer|basic)\s+[A-Za-z0-9._~+/-]{20,}=*",
)

#: A value that is said to be one. It counts if it is no word: letters and digits.
_NAME: Final = (
    r"(?i)\b(?:[a-z0-9]+[_-])*(?:password|passwd|pwd|passphrase|api[_-]?key|secret|secret[_-]?key|access[_-]?token"
    r"|auth[_-]?token|client[_-]?secret)[\"']?\s*"
)
_VALUE: Final = r"\s*[\"']?([^\s\"'<>{}\[\](),;]{8,256})"
_NAMED: Final = rf"{_NAME}[:=]{_VALUE}"

#: The same where both are an object's member: its name ends with the one, its value begins with the other.
_MEMBER_NAME: Final = rf"(?m){_NAME}[:=]?\s*$"

#: How a token goes on behind what a pattern needs of it.
_MORE: Final = compiled(r"[A-Za-z0-9_.+/=~-]*")

#: What RE2 does not know: looking ahead to a token's end, which `_MORE` finds, and repeating more than 1000 times.
_LOOK_AHEAD: Final = r"(?!\w)"
_MANY: Final = compiled(r"\{(\d+),\d{4,}\}")


@lru_cache(maxsize=1)
def _search() -> Any:
    """Return all patterns as one, made when they are first needed: the library takes a tenth of a second to import."""
    parts = [*_OURS]
    for module, name in _PLUGINS.items():
        plugin = getattr(import_module(f"detect_secrets.plugins.{module}"), name)
        for pattern in plugin.denylist:
            flags = "(?i)" if pattern.flags & re.IGNORECASE else ""
            parts.append(flags + _MANY.sub(r"{\1,}", pattern.pattern.replace(_LOOK_AHEAD, "")))
    return compiled("|".join(f"(?:{part})" for part in parts))


@lru_cache(maxsize=1)
def _named() -> Any:
    return compiled(_NAMED)


@lru_cache(maxsize=1)
def _member() -> tuple[Any, Any]:
    return compiled(_MEMBER_NAME), compiled(_VALUE)


def secrets(text: str) -> Iterator[Span]:
    """Yield where credentials stand, each to the end of its token."""
    reached = 0
    for found in _search().finditer(text):
        start, end = found.span()
        if end <= reached:
            continue
        reached = _end(text, end)
        yield start, reached
    for found in _named().finditer(text):
        if _is_no_word(found.group(1)):
            yield found.span(1)


def names_one(names: str) -> bool:
    """Say whether a member of this name holds a credential; of several, a line each, whether any does."""
    return _member()[0].search(names) is not None


def named(value: str) -> Span | None:
    """Return where the credential stands in the text of a member whose name says that it holds one."""
    found = _member()[1].match(value)
    return found.span(1) if found is not None and _is_no_word(found.group(1)) else None


def _is_no_word(value: str) -> bool:
    return any(sign.isdigit() for sign in value) and any(sign.isalpha() for sign in value)


def _end(text: str, end: int) -> int:
    if not _MORE.fullmatch(text[end - 1]) or text[end - 1] in "-~":  # behind a host's @, a quote, a key's last line
        return end
    return end + int(_MORE.match(text[end : end + 4096]).end())
