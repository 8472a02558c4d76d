"""What names or reaches a person, by form and check digits: no names, which no form tells. Pure.

Candidates are found by RE2; whether one is what it looks like, a library says that knows the ranges and check digits.
Beyond `MOST_CHECKED` candidates in one text, whatever has the form counts: that bounds the time, and errs on the side
of too much.
"""

import ipaddress
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, Final

import phonenumbers
from email_validator import EmailNotValidError, validate_email
from stdnum import iban as ibans
from stdnum import luhn
from stdnum.be import nn as be_nn
from stdnum.br import cpf
from stdnum.ch import ssn as ch_ssn
from stdnum.de import idnr
from stdnum.es import dni, nie
from stdnum.fr import nir
from stdnum.gb import nhs
from stdnum.it import codicefiscale
from stdnum.pl import pesel
from stdnum.us import ssn as us_ssn

from detectors.texts import Span, compiled

#: Candidates that are looked at closely in one text.
MOST_CHECKED: Final = 1000

_EMAIL: Final = compiled(r"[^\s@<>()\[\]{}\",:;\\|/?&=#]+@[^\s@<>()\[\]{}\",:;\\|'/?#&=!*]+")
#: `icon@2x.png` is a file, `git@host:path` a place of source code.
_FILES: Final = frozenset(
    {"avif", "css", "gif", "ico", "jpeg", "jpg", "js", "json", "mp4", "pdf", "png", "svg", "webp"}
)
_AROUND_EMAIL: Final = "'*/=`~.!#$%&?^-_"

_PHONE: Final = compiled(r"(?:\+|\b00)[ ]?[1-9][0-9 ()/.\x{2d}]{5,24}[0-9]")
_PHONE_AT_HOME: Final = compiled(r"(?:\+|\(|\b)[0-9][0-9 ()/.\x{2d}]{5,24}[0-9]\b")
_CARD: Final = compiled(r"\b[0-9](?:[ -]?[0-9]){12,}\b")
_CARD_SHAPES: Final = {
    (13,), (14,), (15,), (16,), (19,), (4, 4, 4, 4), (4, 4, 4, 4, 3), (4, 6, 5), (4, 6, 4),
}  # fmt: skip
#: Brands by their first digits, and the lengths that theirs have (ISO/IEC 7812).
_BRANDS: Final = compiled(
    r"4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}|3[47]\d{13}"
    r"|3(?:0[0-5]|[68]\d)\d{11}|(?:6011|64[4-9]\d|65\d\d|35[2-8]\d|62\d\d|81\d\d)\d{12}"
)
_IBAN: Final = compiled(r"(?i)\b[A-Z]{2}[0-9]{2}(?:[ -]?[A-Z0-9]{1,30}){1,10}")
_IPV4: Final = compiled(r"\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b")
_IPV6: Final = compiled(r"(?i)[0-9a-f:]*:[0-9a-f:]*:[0-9a-f:.]*")

_NATIONAL: Final[tuple[tuple[str, Callable[[str], bool]], ...]] = (
    (r"\b[0-9]{3}-[0-9]{2}-[0-9]{4}\b", us_ssn.is_valid),
    (r"\b[12][0-9]{2}(?:0[1-9]|1[0-2]|[2-9][0-9])[0-9AB ]{8,14}[0-9]\b", nir.is_valid),
    (r"\b[12] [0-9]{2} [0-9]{2} [0-9]{1}[0-9AB] [0-9]{3} [0-9]{3} [0-9]{2}\b", nir.is_valid),
    (r"(?i)\b[A-Z]{6}[0-9L-NP-V]{2}[A-EHLMPRST][0-9L-NP-V]{2}[A-Z][0-9L-NP-V]{3}[A-Z]\b", codicefiscale.is_valid),
    (r"(?i)\b[0-9]{8}-?[A-Z]\b", dni.is_valid),
    (r"(?i)\b[XYZ]-?[0-9]{7}-?[A-Z]\b", nie.is_valid),
    (r"\b756\.?[0-9]{4}\.?[0-9]{4}\.?[0-9]{2}\b", ch_ssn.is_valid),
    (r"\b[1-9][0-9] ?[0-9]{3} ?[0-9]{3} ?[0-9]{3}\b", idnr.is_valid),
    (r"\b[0-9]{3} [0-9]{3} [0-9]{4}\b", nhs.is_valid),
    (r"\b[0-9]{11}\b", pesel.is_valid),
    (r"\b[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}\b", cpf.is_valid),
    (r"\b[0-9]{2}\.[0-9]{2}\.[0-9]{2}-[0-9]{3}\.[0-9]{2}\b", be_nn.is_valid),
)  # fmt: skip
_NATIONAL_FORMS: Final = tuple((compiled(form), holds) for form, holds in _NATIONAL)


def _checked(pattern: Any, text: str, most: int = MOST_CHECKED) -> Iterator[tuple[bool, Any]]:
    """Yield (whether it is among those that are looked at closely, match)."""
    yield from ((count < most, found) for count, found in enumerate(pattern.finditer(text)))


def email(text: str) -> Iterator[Span]:
    """Yield where e-mail addresses stand, those of names that no public network knows included."""
    if "@" not in text:
        return
    for close, found in _checked(_EMAIL, text):
        start, end = found.span()
        said = found.group()
        start += len(said) - len(said.lstrip(_AROUND_EMAIL))
        end -= len(said) - len(said.rstrip(_AROUND_EMAIL))
        if not close or _is_email(text[start:end], text[end : end + 1]):
            yield start, end


def _is_email(address: str, after: str) -> bool:
    local, _, domain = address.rpartition("@")
    last = domain.rpartition(".")[2].lower()
    if (
        "." not in domain
        or len(address) > 320
        or not last.isalpha()
        or last in _FILES
        or (local == "git" and after == ":")
    ):
        return False
    try:
        validate_email(address, check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError:
        return False
    return True


def phone(text: str, region: str | None = None) -> Iterator[Span]:
    """Yield where telephone numbers stand that can be called: with the country's code, or as people of `region` write.

    region: ISO 3166-1 alpha-2, or None for numbers with the country's code (+49 …, 0049 …) alone.
    """
    for close, found in _checked(_PHONE_AT_HOME if region else _PHONE, text, MOST_CHECKED // 2):
        start, end = found.span()
        if not close:
            yield start, end
            continue
        said = text[start:end]
        begins = 1 if said.startswith("00") else 0  # of the plus that is put in the place of two zeros
        sought = f"+{said[2:]}" if begins else said
        for number in phonenumbers.PhoneNumberMatcher(sought, region, max_tries=5):
            yield start + (number.start + begins if number.start else 0), start + number.end + begins


def credit_card(text: str) -> Iterator[Span]:
    """Yield where card numbers stand: a brand's first digits and length, grouped as on a card or not, Luhn's digit."""
    for close, found in _checked(_CARD, text):
        start, end = found.span()
        if text[max(0, start - 1) : start] in {"-", "."} or text[end : end + 1] == "-":
            continue
        if not close:
            yield start, end
            continue
        yield from _cards(text[start:end], start)


def _cards(run: str, start: int) -> Iterator[Span]:
    groups = [found.span() for found in _DIGITS.finditer(run)]
    sizes = [end - begin for begin, end in groups]
    first = checked = 0
    while first < len(groups):
        taken = 1
        for many in range(1, 6):
            if tuple(sizes[first : first + many]) not in _CARD_SHAPES:
                continue
            checked += 1
            if checked > MOST_CHECKED or _is_card(run, groups[first : first + many]):
                yield start + groups[first][0], start + groups[first + many - 1][1]
                taken = many
                break
        first += taken


def _is_card(run: str, groups: list[Span]) -> bool:
    digits = "".join(run[begin:end] for begin, end in groups)
    between = {run[left[1] : right[0]] for left, right in pairwise(groups)}
    return len(between) < 2 and _BRANDS.fullmatch(digits) is not None and luhn.is_valid(digits)


_DIGITS: Final = compiled("[0-9]+")


def iban(text: str) -> Iterator[Span]:
    """Yield where IBANs stand, of a country that has them, with their check digits."""
    for close, found in _checked(_IBAN, text):
        start, end = found.span()
        if not close:
            yield start, end
            continue
        said = found.group()
        ends = [len(said), *(place for place in range(len(said) - 1, 14, -1) if said[place] in " -")]
        length = next((each for each in ends if each >= 15 and ibans.is_valid(said[:each])), None)
        if length is not None:
            yield start, start + length


def national_id(text: str) -> Iterator[Span]:
    """Yield where numbers of persons stand, of the countries in `_NATIONAL`, with their check digits or set ranges."""
    for form, holds in _NATIONAL_FORMS:
        for close, found in _checked(form, text):
            if not close or holds(found.group()):
                yield found.span()


def ip_address(text: str) -> Iterator[Span]:
    """Yield where IP addresses stand, but for the machine's own. A version of four numbers looks like one, too."""
    for pattern in (_IPV4, _IPV6):
        for close, found in _checked(pattern, text):
            start, end = found.span()
            said = found.group().rstrip(":") if pattern is _IPV6 and not found.group().endswith("::") else found.group()
            said = said.rstrip(".")
            end = start + len(said)
            before, after = text[max(0, start - 1) : start], text[end : end + 1]
            if before.isalnum() or before in {"_", "."} or after.isalnum() or after == "_":
                continue
            if not close or _is_address(said):
                yield start, end


def _is_address(said: str) -> bool:
    try:
        address = ipaddress.ip_address(said)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified)
