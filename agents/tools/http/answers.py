"""What an answer says: JSON, text of any character set, nothing, or something that no model can read. Pure."""

import codecs
import math
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

from agents.tools.results import read_json
from agents.tools.seam import Failed, Finished, Outcome, ToolDefinition, unclear
from egress.messages import Response

# Statuses after which the same request may succeed (RFC 9110, RFC 6585, RFC 8470): not those of a server that lacks
# something which it will lack the next time, too (501, 505, 506, 508, 510, 511).
RETRYABLE: Final = frozenset({408, 425, 429, *range(500, 600)} - {501, 505, 506, 508, 510, 511})
# Statuses of a server that broke in the middle, and of gateways that lost sight of one: they do not say what was done.
_UNCLEAR: Final = frozenset({408, 500, 502, 503, 504, *range(520, 600)})
_JSON: Final = re.compile(r"application/(?:[a-z0-9!#$&^_.-]+\+)?json", re.IGNORECASE)
_TEXT: Final = re.compile(
    r"(?:text/|application/(?:[a-z0-9!#$&^_.-]+\+)?(?:xml|yaml|x-yaml|javascript|x-ndjson|jsonl?|csv|graphql|sql|toml"
    r"|x-www-form-urlencoded)\s*(?:;|$))",
    re.IGNORECASE,
)
_CHARSET: Final = re.compile(r"charset=\"?([A-Za-z0-9_.:-]+)", re.IGNORECASE)
#: Codecs of Python that are no character sets, or take a server's word for what a text means.
_NO_CHARSETS: Final = frozenset({"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined"})
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def told(response: Response, definition: ToolDefinition, now: datetime) -> Outcome:
    """Return what came of the call. now: for a `Retry-After` that is a date."""
    if response.status >= 400:
        words = (text_of(response) or "").strip() or _phrase(response)
        failed = Failed(
            "http_status",
            f"HTTP {response.status}: {words}",
            retryable=response.status in RETRYABLE,
            retry_after_s=retry_after_s(response, now) if response.status in RETRYABLE else None,
        )
        return unclear(definition, failed) if response.status in _UNCLEAR else failed
    if not response.body:
        return Finished(None)
    text: str | None = None
    if _JSON.match(_media_type(response)):
        try:
            return Finished(read_json(response.body))
        except (ValueError, RecursionError):
            text = text_of(response)  # it was done, whatever the answer's form; a schema may still object
    text = text_of(response) if text is None else text
    if text is not None:
        return Finished(text)
    if definition.effect == "read":
        return Failed("bad_result", f"The answer is {_binary(response)}; an http tool gives back JSON or text.")
    return Finished({"note": f"The call was made (HTTP {response.status}). Its answer is {_binary(response)}."})


def text_of(response: Response) -> str | None:
    """Return the body as text; None when it is none.

    In the character set it names or marks, else in UTF-8, else in Windows-1252. What says that it is text is read in
    any case; what says something else, or nothing, only if it can be.
    """
    body, media_type = response.body, _media_type(response)
    for mark, charset in _MARKS:
        if body.startswith(mark):
            return body.decode(charset, "replace")
    named = _charset(media_type)
    if named is not None and (_TEXT.match(media_type) or _JSON.match(media_type)):
        return body.decode(named, "replace")
    if b"\0" in body:
        return None
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        if not _TEXT.match(media_type):
            return body.decode("utf-8", "replace") if _JSON.match(media_type) else None
    return body.decode("utf-8" if _CHARSET.search(media_type) else "windows-1252", "replace")


def retry_after_s(response: Response, now: datetime) -> float | None:
    """Return how many seconds the server asks to wait (RFC 9110, 10.2.3); None when it does not say, or not clearly."""
    said = response.headers.get("retry-after", "").strip()
    if said.isascii() and said.isdigit():
        return float(said[:10])
    try:
        at = parsedate_to_datetime(said)
    except (TypeError, ValueError, OverflowError):
        return None
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    return max(0.0, math.ceil((at - now).total_seconds()))


def _media_type(response: Response) -> str:
    return response.headers.get("content-type", "")


def _charset(media_type: str) -> str | None:
    """The character set that the answer names, if there is such a one."""
    named = _CHARSET.search(media_type)
    try:
        found = codecs.lookup(named[1]) if named else None
        if found is None or found.name.replace("-", "_") in _NO_CHARSETS:
            return None
        b"x".decode(found.name, "replace")  # raises for codecs that give no text
    except (LookupError, UnicodeError):
        return None
    return found.name


def _phrase(response: Response) -> str:
    if response.body.strip():
        return f"({_binary(response)})"
    try:
        return HTTPStatus(response.status).phrase
    except ValueError:
        return "no explanation"


def _binary(response: Response) -> str:
    media_type = re.sub(r"[^\x20-\x7e]+", " ", _media_type(response).partition(";")[0].strip())[:100]
    return f"binary ({media_type or 'of no known type'}, {len(response.body)} bytes)"
