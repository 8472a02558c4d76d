"""Secrets taken out of text again by their value, in whatever common form they stand there.

`Redactor` knows the secrets it is given. The process as a whole knows more: what `keep` was told (the installation's
own, from the settings) and what `remember` was told lately (tenants' secrets that were handed out). `hide` takes all
of those out of a text; log lines, tracebacks and debug pages go through it. A value that somebody took apart or
encoded on purpose is not found: whoever is given a secret can tell it on.
"""

import base64
import binascii
import html
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs, quote, quote_plus, unquote, urlsplit

Json = Any

MASK: Final = "[redacted]"
#: Shorter values are left alone: masking them would destroy ordinary text. The vault does not take them.
MIN_CHARS: Final = 4
#: What is taken out of everything a process says is longer: a tenant whose secret is “error” must not blind the logs,
#: nor an installation whose password is a word.
MIN_EVERYWHERE_CHARS: Final = 8
_MIN_ENCODED = 6
_MIN_LINE = 16
_LONG = 2048  # characters; beyond, only the commonest forms are looked for
_MAX_RECENT = 512
_UNKEEPABLE = re.compile("[\x00\ud800-\udfff]")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9-]* +(?P<credentials>\S.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Sought:
    """A secret's forms by their lower case, and what those are in JSON: made once, as both take long."""

    forms: dict[str, str]
    in_json: dict[str, None]

    @classmethod
    def of(cls, secret: str) -> "_Sought":
        forms = {form.lower(): form for form in _forms(secret)}
        return cls(forms, dict.fromkeys(map(_in_json, forms)))


class Redactor:
    """Takes the given secrets, and the installation's own, out of texts and JSON values."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._forms, self._in_json = dict(_kept.forms), dict(_kept.in_json)
        for each in map(_sought, secrets):
            self._forms.update(each.forms)
            self._in_json.update(each.in_json)

    def __call__(self, text: str) -> str:
        """Return the text with the secrets masked; of a text that was cut (`…`) also what is left of one at its end."""
        masked = _masked(text, self._forms)
        return self._without_rest(masked) if masked.endswith("…") else masked

    def json(self, value: Json, text: str) -> Json:
        """Return the JSON value with the secrets masked, in names and numbers too. text: the value as compact JSON."""
        low = text.lower()
        if "…" not in text and not any(form in low for form in self._in_json):
            return value
        return _mapped(value, self)

    def _without_rest(self, text: str) -> str:
        head = text[:-1]
        low = head.lower()
        for form in self._forms:
            start = max(0, len(low) - len(form) + 1)
            # The longest beginning of the secret that the text ends in.
            found = next((at for at in range(start, len(low) - MIN_CHARS + 1) if form.startswith(low[at:])), None)
            if found is not None:
                return head[:found] + MASK + "…"
        return text


# --- What the process knows ---------------------------------------------------------------------------------------

# Both are only ever added to and taken from by single operations on a dict, which the interpreter makes atomic: a lock
# could be held by another thread at a fork, and a child that logs would wait for ever.
_kept: _Sought = _Sought({}, {})
_recent: dict[str, _Sought] = {}


def keep(*values: str) -> None:
    """Have `hide` take these secrets of the installation out for good; of a URL its password."""
    for value in values:
        for secret in passwords(value) if "://" in value else {value}:
            if len(secret) >= MIN_EVERYWHERE_CHARS:
                found = _Sought.of(secret)
                _kept.in_json.update(found.in_json)
                _kept.forms.update(found.forms)


def remember(secret: str) -> None:
    """Have `hide` take this secret out for as long as it is among the last that were handed out."""
    _sought(secret)


def _sought(secret: str) -> _Sought:
    found = _recent.get(secret)
    if found is None:
        found = _Sought.of(secret)
        _recent[secret] = found
        for oldest in list(_recent)[:-_MAX_RECENT]:
            _recent.pop(oldest, None)
    return found


def hide(text: str) -> str:
    """Return the text without any secret that this process knows."""
    return _masked(text, _known())


def hide_in_json(text: str) -> str:
    """Return the JSON text without any secret that this process knows; it stays JSON."""
    known = _known()
    low = text.lower()
    if not any(_in_json(form) in low for form in known):
        return text
    value = _mapped(json.loads(text), lambda part: _masked(part, known))
    return json.dumps(value, ensure_ascii=False)


def passwords(url: str) -> set[str]:
    """Return the secrets that a URL holds: itself, and its password as written and decoded; empty without one."""
    try:
        parts = urlsplit(url)
        password = parts.password or ""
        found = {password, unquote(password), *parse_qs(parts.query).get("password", ())} - {""}
    except ValueError:
        return {url}
    return {url, *found} if found else set()


def _known() -> dict[str, str]:
    recent = {
        low: form
        for secret, sought in list(_recent.items())
        if len(secret) >= MIN_EVERYWHERE_CHARS
        for low, form in sought.forms.items()
        if len(form) >= MIN_EVERYWHERE_CHARS
    }
    return _kept.forms | recent


# --- Forms --------------------------------------------------------------------------------------------------------


def _masked(text: str, forms: dict[str, str]) -> str:
    low = text.lower()
    found = sorted((form for key, form in forms.items() if key in low), key=len, reverse=True)
    if not found:
        return text
    # Without regard to case: hosts are lowered, hexadecimal digits and percent-encoding may be either.
    return re.sub("|".join(map(re.escape, found)), MASK, text, flags=re.IGNORECASE)


def _mapped(value: Json, change: Callable[[str], str]) -> Json:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_mapped(item, change) for item in value]
    if isinstance(value, dict):
        return {change(name): _mapped(item, change) for name, item in value.items()}
    if isinstance(value, int | float) and not isinstance(value, bool):
        text = json.dumps(value)
        masked = change(text)
        return value if masked == text else masked
    return value


def _in_json(form: str) -> str:
    return json.dumps(form, ensure_ascii=False)[1:-1]


def _forms(secret: str) -> Iterator[str]:
    for plain in {part for part in _parts(secret) if len(part) >= MIN_CHARS}:
        data = plain.encode("utf-8", "surrogatepass")
        yield from (plain, _UNKEEPABLE.sub("\ufffd", plain), json.dumps(plain)[1:-1], _in_json(plain))
        yield from (form for form in _digits(data) if len(form) >= _MIN_ENCODED)
        if len(plain) <= _LONG:
            yield from _written(plain, data)


def _parts(secret: str) -> set[str]:
    """The secret, and what of it a server may name alone: the credentials after a scheme, a password, a line."""
    whole = secret.strip()
    parts = {secret, whole, *(line for line in map(str.strip, whole.splitlines()) if len(line) >= _MIN_LINE)}
    scheme = _SCHEME.fullmatch(whole)
    credentials = scheme["credentials"] if scheme and "\n" not in whole else whole
    parts.add(credentials)
    try:
        user, colon, password = base64.b64decode(credentials, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return parts
    return parts | {f"{user}:{password}", password} if colon and password.isprintable() else parts


def _written(plain: str, data: bytes) -> Iterator[str]:
    """The text as URLs, pages, programs and readers of a wrong character set write it."""
    percent = quote(data, safe="")
    yield from (percent, quote(data), quote_plus(data), quote(percent, safe=""))
    yield from (html.escape(plain), html.escape(plain, quote=False), html.escape(plain).replace("&#x27;", "&#39;"))
    yield from (json.dumps(plain)[1:-1].replace("/", "\\/"), json.dumps(json.dumps(plain)[1:-1])[1:-1])
    yield re.sub("[<>&]", lambda found: f"\\u{ord(found[0]):04x}", json.dumps(plain)[1:-1])
    yield from (repr(plain)[1:-1], repr(data)[2:-1], html.escape(repr(plain)[1:-1]))
    yield data.decode("latin-1")
    yield plain.encode("latin-1", "replace").decode("utf-8", "replace")


def _digits(data: bytes) -> Iterator[str]:
    yield from (data.hex(), base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode())
    for before in range(3):
        # Where `data` stands inside a longer base64 text decides its digits: of each of the three positions, those
        # digits that depend on nothing but `data`.
        first = -(-before * 8 // 6)
        last = (before + len(data)) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(bytes(before) + data + bytes(3)).decode()[first:last]
