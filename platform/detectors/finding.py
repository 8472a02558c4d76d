"""Where in a text the named finders find something: in time that grows with the text's length alone. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import version
from typing import Any, Final

from detectors import credentials, persons, suspicious
from detectors.texts import Span, Text, compiled

Finder = Callable[[str], Iterator[Span]]

#: What finds credentials and personal data, and what finds that which has no business in an input.
PERSONAL: Final[Mapping[str, Finder]] = {
    "secrets": credentials.secrets,
    "email": persons.email,
    "phone": persons.phone,
    "iban": persons.iban,
    "credit_card": persons.credit_card,
    "national_id": persons.national_id,
    "ip_address": persons.ip_address,
}
SUSPICIOUS: Final[Mapping[str, Finder]] = {
    "instructions": suspicious.instructions,
    "control_characters": suspicious.control_characters,
    "hidden_text": suspicious.hidden_text,
}
FINDERS: Final[Mapping[str, Finder]] = {**PERSONAL, **SUSPICIOUS}

#: These look at a text as it is; the others at what a reader sees of it.
_AS_IT_IS: Final = frozenset({"control_characters", "hidden_text"})

#: Raised with every change of what our own patterns find.
_OWN: Final = 2

_LIBRARIES: Final = ("detect-secrets", "phonenumberslite", "python-stdnum", "email-validator")


@dataclass(frozen=True, slots=True)
class Found:
    """Something in a text. finder: by name; start, end: in characters."""

    finder: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Finders:
    """What to look for.

    names: of `FINDERS`, or of `patterns`, which are more of them: RE2 by name. region: whose national telephone numbers
    to find as well, ISO 3166-1 alpha-2.
    """

    names: tuple[str, ...]
    patterns: Mapping[str, str] = field(default_factory=dict)
    region: str | None = None


def find(text: str, finders: Finders) -> list[Found]:
    """Return what each finder finds, by finder and place. Any text may be given, of any length."""
    seen = Text(text)
    return [found for name in finders.names for found in _by(name, seen, finders)]


def find_in_members(pieces: Sequence[tuple[str, str]], finders: Finders) -> dict[int, Found]:
    """Return, by its index, which text is a credential because of the name that its member has, and where in it.

    pieces: as `texts.strings` yields them. A text that says by itself what it is, `find` finds.
    """
    if "secrets" not in finders.names:
        return {}
    members = [at for at in range(1, len(pieces)) if pieces[at][0] == pieces[at - 1][0]]
    # All names in one go, a line each: most values have none that matters.
    if not credentials.names_one(Text("\n".join(pieces[at - 1][1] for at in members)).plain):
        return {}
    found: dict[int, Found] = {}
    for at in members:
        text = Text(pieces[at][1])
        if credentials.names_one(Text(pieces[at - 1][1]).plain) and (span := credentials.named(text.plain)):
            found[at] = Found("secrets", *text.back(span))
    return found


@lru_cache(maxsize=1)
def versions() -> str:
    """Return what found it: our own patterns' number and the libraries' versions, for the record."""
    return " ".join([f"own {_OWN}", *(f"{name} {version(name)}" for name in _LIBRARIES)])


def _by(name: str, text: Text, finders: Finders) -> Iterator[Found]:
    if name in _AS_IT_IS:
        yield from (Found(name, *span) for span in FINDERS[name](text.whole))
    else:
        yield from (Found(name, *text.back(span)) for span in _spans(name, text.plain, finders))


def _spans(name: str, text: str, finders: Finders) -> Iterator[Span]:
    if name == "phone":
        return persons.phone(text, finders.region)
    if name in finders.patterns:
        return (found.span() for found in pattern(finders.patterns[name]).finditer(text))
    return FINDERS[name](text)


@lru_cache(maxsize=1024)
def pattern(written: str) -> Any:
    """Return one of a tenant's own patterns to search with; raises `re2.error`."""
    return compiled(written)
