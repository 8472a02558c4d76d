"""URL templates: `https://host/customers/{customer_id}?fields={fields}`. Pure.

A value is percent-encoded to the unreserved characters of RFC 3986, so that it stays inside its path segment or query
value whatever it holds; a segment that would become empty, `.` or `..` is refused, because servers climb on those.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote

from egress.errors import EgressDenied
from egress.urls import parse

_PART = re.compile(r"\{([A-Za-z_][A-Za-z0-9_-]*)\}")
_AUTHORITY = re.compile(r"[^:/?#]*://[^/?#]*")


class TemplateError(ValueError):
    """The template cannot be used. The text says why."""


class ArgumentError(ValueError):
    """An argument cannot stand in the URL. The text says which and why."""


@dataclass(frozen=True, slots=True)
class Template:
    """A checked URL template. names: the arguments that stand in it."""

    origin: str
    path: str
    query: str | None
    names: frozenset[str]

    def url(self, arguments: Mapping[str, Any], further: Mapping[str, Any]) -> str:
        """Fill in `arguments`; add `further` to the query. Raises ArgumentError."""
        segments = [_segment(segment, arguments) for segment in self.path.split("/")]
        queries = [] if not self.query else [_filled(self.query, arguments)]
        queries += [query_of(further)] if further else []
        query = "&".join(filter(None, queries))
        query = f"?{query}" if query else ""
        return self.origin + "/".join(segments) + query


@lru_cache(maxsize=1024)
def compiled(text: str) -> Template:
    """Read a template. Raises TemplateError."""
    authority = _AUTHORITY.match(text)
    if authority is None:
        raise TemplateError("Write a whole URL, as in https://host/path/{argument}.")
    origin, rest = authority.group(), text[authority.end() :]
    if "{" in origin or "}" in origin:
        raise TemplateError("An argument may not stand in the host, or the model could choose whom to call.")
    if "#" in rest:
        raise TemplateError("A fragment (#…) is never sent; remove it.")
    names = frozenset(_PART.findall(rest))
    plain = _PART.sub("x", rest)
    if "{" in plain or "}" in plain:
        raise TemplateError("A brace is not part of {argument}; arguments are letters, digits, _ and -.")
    try:
        parse(origin + plain)
    except EgressDenied as denied:
        raise TemplateError(denied.detail) from None
    path, mark, query = rest.partition("?")
    return Template(origin, path or "/", query if mark else None, names)


def query_of(arguments: Mapping[str, Any]) -> str:
    """Return the arguments as a query or a form writes them. Raises ArgumentError."""
    return "&".join(
        f"{_quoted(name, name)}={text}" for name, value in arguments.items() for text in _pairs(name, value)
    )


def _segment(segment: str, arguments: Mapping[str, Any]) -> str:
    filled = _filled(segment, arguments)
    if filled != segment and unquote(filled) in ("", ".", ".."):
        names = ", ".join(_PART.findall(segment))
        raise ArgumentError(f"{names} must not be empty or dots: it is a part of the URL's path.")
    return filled


def _filled(text: str, arguments: Mapping[str, Any]) -> str:
    return _PART.sub(lambda part: _quoted(part[1], _text(part[1], arguments.get(part[1]))), text)


def _quoted(name: str, text: str) -> str:
    try:
        return quote(text, safe="")
    except UnicodeEncodeError:
        raise ArgumentError(f"{name} holds half a character (a lone surrogate).") from None


def _text(name: str, value: Any) -> str:
    if value is None:
        raise ArgumentError(f"{name} is missing: it is a part of the URL.")
    if isinstance(value, (dict, list)):
        raise ArgumentError(f"{name} must be a text, a number or a boolean: it is a part of the URL.")
    return value if isinstance(value, str) else json.dumps(value)


def _pairs(name: str, value: Any) -> list[str]:
    """The texts a query argument is sent as: none for null, one for each item of a list, JSON for objects."""
    items = value if isinstance(value, list) else [value]
    texts = [
        json.dumps(item, ensure_ascii=False, separators=(",", ":"))
        if isinstance(item, (dict, list))
        else _text(name, item)
        for item in items
        if item is not None
    ]
    return [_quoted(name, text) for text in texts]
