"""Canonical JSON against RFC 8785's own examples, and against an oracle that does it the long way."""

import json
import math
import re
import struct
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit import canonical as module
from audit.canonical import MAX_SAFE_INTEGER, NotCanonical, canonical, commitment, is_plain, number

Json = Any

#: RFC 8785, appendix B: IEEE 754 bits → JSON representation.
APPENDIX_B = [
    ("0000000000000000", "0"),
    ("8000000000000000", "0"),
    ("0000000000000001", "5e-324"),
    ("8000000000000001", "-5e-324"),
    ("7fefffffffffffff", "1.7976931348623157e+308"),
    ("ffefffffffffffff", "-1.7976931348623157e+308"),
    ("4340000000000000", "9007199254740992"),
    ("c340000000000000", "-9007199254740992"),
    ("4430000000000000", "295147905179352830000"),
    ("44b52d02c7e14af5", "9.999999999999997e+22"),
    ("44b52d02c7e14af6", "1e+23"),
    ("44b52d02c7e14af7", "1.0000000000000001e+23"),
    ("444b1ae4d6e2ef4e", "999999999999999700000"),
    ("444b1ae4d6e2ef4f", "999999999999999900000"),
    ("444b1ae4d6e2ef50", "1e+21"),
    ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
    ("3eb0c6f7a0b5ed8d", "0.000001"),
    ("41b3de4355555553", "333333333.3333332"),
    ("41b3de4355555554", "333333333.33333325"),
    ("41b3de4355555555", "333333333.3333333"),
    ("41b3de4355555556", "333333333.3333334"),
    ("41b3de4355555557", "333333333.33333343"),
    ("becbf647612f3696", "-0.0000033333333333333333"),
    ("43143ff3c1cb0959", "1424953923781206.2"),
]


def double(bits: str) -> float:
    """Return the double of these sixteen hexadecimal digits."""
    value: float = struct.unpack(">d", bytes.fromhex(bits))[0]
    return value


@pytest.mark.parametrize(("bits", "text"), APPENDIX_B)
def test_numbers_of_the_rfc(bits: str, text: str) -> None:
    assert number(double(bits)) == text
    assert canonical([double(bits)]) == f"[{text}]"


@pytest.mark.parametrize("bits", ["7fffffffffffffff", "7ff0000000000000", "fff0000000000000"])
def test_the_rfc_has_no_form_for_nan_and_infinities(bits: str) -> None:
    with pytest.raises(NotCanonical):
        canonical(double(bits))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"),
        (-1.5, "-1.5"),
        (100.0, "100"),
        (1e20, "100000000000000000000"),
        (123456789012345680000.0, "123456789012345680000"),
        (1e-6, "0.000001"),
        (1.5e-6, "0.0000015"),
        (1e-7, "1e-7"),
        (1.25e-7, "1.25e-7"),
        (2.2250738585072014e-308, "2.2250738585072014e-308"),
        (2.225073858507201e-308, "2.225073858507201e-308"),  # the largest subnormal
        (0.1 + 0.2, "0.30000000000000004"),
    ],
)
def test_numbers_at_the_bounds_of_the_notations(value: float, text: str) -> None:
    assert number(value) == text


def test_the_rfcs_first_example() -> None:
    """Section 3.2.2: serialization of primitive data types."""
    value = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"\u002f",
        "literals": [None, True, False],
    }

    assert canonical(value) == (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )


def test_the_rfcs_sorting_example() -> None:
    """Section 3.2.3: by UTF-16 code units, so that a character beyond U+FFFF comes before U+FB33."""
    value = {
        "\u20ac": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "\U0001f600": "Emoji: Grinning Face",
        "\u0080": "Control",
        "\u00f6": "Latin Small Letter O With Diaeresis",
    }

    assert list(json.loads(canonical(value)).values()) == [
        "Carriage Return",
        "One",
        "Control",
        "Latin Small Letter O With Diaeresis",
        "Euro Sign",
        "Emoji: Grinning Face",
        "Hebrew Letter Dalet With Dagesh",
    ]


def test_control_characters_are_escaped_as_the_rfc_says() -> None:
    short = {8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r"}
    expected = "".join(short.get(code, f"\\u{code:04x}") for code in range(32))

    assert canonical("".join(map(chr, range(32)))) == f'"{expected}"'
    assert canonical("\x7f\u0080\u2028\u2029/") == '"\x7f\u0080\u2028\u2029/"'


def test_text_is_not_normalised() -> None:
    assert canonical("A\u030a") != canonical("\u00c5")


# --- an oracle ----------------------------------------------------------------------------------------------------

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


def oracle(value: Json) -> str:
    """RFC 8785 the long way: one rule after the other, number formats by way of exact decimals."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        escaped = (_ESCAPES.get(each, f"\\u{ord(each):04x}" if each < " " else each) for each in value)
        return '"' + "".join(escaped) + '"'
    if isinstance(value, int | float):
        return ecmascript(float(value))
    if isinstance(value, dict):
        return "{" + ",".join(f"{oracle(key)}:{oracle(value[key])}" for key in sorted(value, key=code_units)) + "}"
    return "[" + ",".join(map(oracle, value)) + "]"


def code_units(text: str) -> list[int]:
    """UTF-16 by its definition (RFC 2781, section 2.1)."""
    units = []
    for code in map(ord, text):
        above = code - 0x10000
        units += [code] if above < 0 else [0xD800 + (above >> 10), 0xDC00 + (above & 0x3FF)]
    return units


def ecmascript(value: float) -> str:
    """ECMA-262, Number::toString: k digits s, exponent n, so that the value is s * 10^(n - k) with the least k."""
    if value < 0:
        return "-" + ecmascript(-value)
    if value == 0:
        return "0"
    _, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(exponent, int)
    s, k = "".join(map(str, digits)), len(digits)
    n = exponent + k
    if k <= n <= 21:
        return s + "0" * (n - k)
    if 0 < n <= 21:
        return s[:n] + "." + s[n:]
    if -6 < n <= 0:
        return "0." + "0" * -n + s
    e = ("+" if n > 0 else "-") + str(abs(n - 1))
    return f"{s}e{e}" if k == 1 else f"{s[0]}.{s[1:]}e{e}"


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
keys = texts | st.sampled_from(["\ue000", "\uffff", "\U00010000", "\U0010ffff", "\ud7ff", "", "a", "\x00"])
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(keys, inner, max_size=5))
plain_values = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER) | texts,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(keys, inner, max_size=5),
)


@given(values)
def test_it_equals_the_oracle(value: Json) -> None:
    assert canonical(value) == oracle(value)


@given(values)
def test_it_parses_back_to_an_equal_value(value: Json) -> None:
    """As RFC 8259 readers do it: a number is a double."""
    assert json.loads(canonical(value), parse_int=float) == value


@given(values)
def test_it_is_its_own_canonical_form(value: Json) -> None:
    assert canonical(json.loads(canonical(value))) == canonical(value)


@given(plain_values)
def test_the_fast_path_and_the_exact_path_agree(value: Json) -> None:
    assert canonical(value) == "".join(module._exact(value))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_are_the_shortest_that_come_back(value: float) -> None:
    text = number(value)

    assert float(text) == value
    assert re.fullmatch(r"-?(0|[1-9][0-9]*)(\.[0-9]*[1-9])?(e[+-][1-9][0-9]*)?", text)
    assert text == ecmascript(value)


@given(values)
def test_plain_values_come_back_exactly_type_by_type(value: Json) -> None:
    if is_plain(value):
        assert repr(json.loads(canonical(value))) == repr(_sorted(value))


def _sorted(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value, key=lambda key: key.encode("utf-16-be"))}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("value", [1.0, -0.0, 1.5, [1, {"a": 2.0}], 2**53, -(2**53), "\ud800", {"a": ["\udfff"]}])
def test_what_would_not_come_back_exactly_is_not_plain(value: Json) -> None:
    assert not is_plain(value)


# --- refusals -----------------------------------------------------------------------------------------------------


class Colour(StrEnum):
    RED = "red"


class Number(IntEnum):
    ONE = 1


class Text(str):
    __slots__ = ()


UNFIT = [
    math.nan,
    math.inf,
    -math.inf,
    2**53 + 1,
    -(2**53) - 1,
    10**20 + 1,
    10**21,
    10**400,
    -(10**4000),
    "\ud800",
    "\udc00",
    "a\udfffb",
    "\udc00\ud800",
    b"bytes",
    {"set"},
    Decimal("1"),
    1j,
    pytest.param(object(), id="object"),
    Colour.RED,
    Number.ONE,
    Text("subclass"),
    {1: "number as key"},
    {None: "null as key"},
    {True: 1},
    {1.5: 1},
    {("a",): 1},
    {b"k": 1},
    {"\ud800": "half a character as key"},
    {"ok": 1, "\udfff": 2},
    {Colour.RED: 1},
]


@pytest.mark.parametrize("unfit", UNFIT, ids=ascii)
@pytest.mark.parametrize(
    "around",
    [
        lambda value: value,
        lambda value: [value],
        lambda value: {"a": {"b": [1, value]}},
        lambda value: [1.5, value],  # the exact path, whatever the value
        lambda value: {"\U0001f600": 0.5, "z": [value]},
    ],
    ids=["bare", "in a list", "nested", "behind a float", "nested behind a float"],
)
def test_what_has_no_canonical_form_is_refused_in_one_way(unfit: Json, around: Any) -> None:
    with pytest.raises(NotCanonical):
        canonical(around(unfit))


def test_an_integer_too_long_to_print_is_refused() -> None:
    with pytest.raises(NotCanonical):
        canonical([10**5000])


def test_a_surrogate_pair_in_halves_is_not_the_character() -> None:
    with pytest.raises(NotCanonical):
        canonical("\ud83d" + "\ude00")


def test_a_value_that_contains_itself_is_refused() -> None:
    value: list[Json] = []
    value.append(value)

    with pytest.raises(NotCanonical, match="nested too deeply"):
        canonical(value)


@pytest.mark.parametrize("bottom", [1, 1.5])
def test_a_value_that_nests_too_deeply_is_refused(bottom: Json) -> None:
    value = bottom
    for _ in range(100_000):
        value = [value]

    with pytest.raises(NotCanonical, match="nested too deeply"):
        canonical(value)


def test_tuples_are_written_as_lists() -> None:
    assert canonical((1, (2.5,))) == "[1,[2.5]]"


def test_integers_as_a_double_is_written_pass_so_that_what_was_written_can_be_read() -> None:
    written = canonical([1e20, 2.0**53, 295147905179352830000.0])

    assert canonical(json.loads(written)) == written


def test_the_largest_safe_integers_pass() -> None:
    assert canonical([MAX_SAFE_INTEGER, -MAX_SAFE_INTEGER]) == "[9007199254740991,-9007199254740991]"


# --- commitments --------------------------------------------------------------------------------------------------


def test_a_commitment_is_sha256_of_salt_and_text() -> None:
    # Worked out with `printf '\0\1…\17{"a":"€"}' | sha256sum`.
    expected = "ac4d26c84d6291fc9495ddf1fd2af76eea9ee2fbb78feb1853f17574aa1fcf93"
    salt = bytes(range(16))

    assert len(commitment(salt, canonical({"a": "€"}))) == 32
    assert commitment(salt, canonical({"a": "€"})).hex() == expected


def test_commitments_to_one_value_with_two_salts_differ() -> None:
    assert commitment(b"0" * 16, "1") != commitment(b"1" * 16, "1")
