"""What a record is found by: its fields and the words of its facts and payload, as small numbers. Pure.

A term is 24 bits of a CRC-32: eight say in which page it is, sixteen are kept there. So a page finds too much now and
then, and whoever searches looks at the record itself; and it never finds too little.
"""

import json
import re
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

#: Leaves of a segment, and pages of one. A place is a leaf's number in its segment.
LEAVES: Final = 4096
BUCKETS: Final = 256

#: Characters of a payload's text whose words are kept, from its beginning; characters of a word that count.
TEXT: Final = 65_536
WORD: Final = 64

#: Words that a search may have.
MOST_WORDS: Final = 8

_KEYS: Final = re.compile(r'"[^"\\]*":')
_ESCAPES: Final = re.compile(r"\\(?:u[0-9a-fA-F]{4}|.)")
_WORDS: Final = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Term:
    """bucket: the page it is in. kept: what stands for it there, below 2^16."""

    bucket: int
    kept: int


def term(text: str) -> Term:
    """Return the term of a word, or of a field (`field`)."""
    number = zlib.crc32(text.encode(errors="replace"))
    return Term(number & 0xFF, number >> 16)


def field(name: str, value: str) -> str:
    """Return how a field is written as a term; no word is like it."""
    return f"{name}:{value}"


def words(text: str) -> list[str]:
    """Return the words that a text has to be found by, as they are kept; each once."""
    return list(dict.fromkeys(word[:WORD] for word in _WORDS.findall(text.lower())))


def words_of_json(text: str) -> set[str]:
    """Return the words of a JSON text's values."""
    text = text[:TEXT]
    if "\\" in text:
        text = _ESCAPES.sub(" ", text)
    return {word[:WORD] for word in _WORDS.findall(_KEYS.sub(" ", text).lower())}


def of(action: str, actor: str, subject: str | None, facts: str, payload: str | None) -> set[str]:
    """Return all that a record is found by. facts, payload: JSON texts; payload None when there is none."""
    found = words_of_json(json.dumps(json.loads(facts), ensure_ascii=False) if "\\u" in facts else facts)
    if payload is not None:
        found |= words_of_json(payload)
    found |= {field("action", action), field("actor", actor)}
    if subject is not None:
        found.add(field("subject", subject))
    return found


def pages(records: Iterable[set[str]]) -> dict[int, bytes]:
    """Return a segment's pages by bucket: sorted numbers of four bytes, each what is kept of a term, and a place."""
    made: list[list[int]] = [[] for _ in range(BUCKETS)]
    crc32 = zlib.crc32
    for place, terms in enumerate(records):
        for text in terms:
            number = crc32(text.encode(errors="replace"))
            made[number & 0xFF].append(number & 0xFFFF0000 | place)
    return {bucket: array("I", sorted(set(numbers))).tobytes() for bucket, numbers in enumerate(made) if numbers}


def places(page: bytes | memoryview, kept: int) -> set[int]:
    """Return the places at which a page has a term."""
    numbers = memoryview(page).cast("I")
    at, found = bisect_left(numbers, kept << 16), set()
    while at < len(numbers) and numbers[at] >> 16 == kept:
        found.add(numbers[at] & 0xFFFF)
        at += 1
    return found
