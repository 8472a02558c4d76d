"""YAML in: plain JSON with lines, and nothing that bites."""

from typing import Any

import pytest

from agents.config.errors import ConfigError
from agents.config.reading import MAX_NODES, Text, read

Json = Any


def one(text: str) -> Text:
    (found,) = read(text, "a.yaml")
    return found


def fault(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        list(read(text, "a.yaml"))
    return str(caught.value)


def test_several_documents_each_with_its_lines() -> None:
    first, second = read("a: 1\n---\n# empty\n---\nb:\n  - x\n  - {c: 2}\n", "a.yaml")

    assert first.value == {"a": 1}
    assert second.value == {"b": ["x", {"c": 2}]}
    assert (first.line("/a"), second.line("/b/0"), second.line("/b/1/c")) == (1, 6, 7)


def test_the_line_of_what_is_not_there_is_that_of_what_is_around_it() -> None:
    text = one("spec:\n  http:\n    url: x\n")

    assert text.line("/spec/http/url") == 3
    assert text.line("/spec/http/method") == 3
    assert text.line("/spec/nothing/deep") == 2
    assert text.line("") == 1


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("12:30", "12:30"),
        ("2026-01-01", "2026-01-01"),
        ("1_000", "1_000"),
        ("true", True),
        ("~", None),
        ("", None),
        ("-7", -7),
        ("0x1f", 31),
        ("0.5", 0.5),
        ("1e3", 1000.0),
        ('"1"', "1"),
        ("'true'", "true"),
        ("|\n  two\n  lines\n", "two\nlines\n"),
    ],
)
def test_scalars_are_those_of_json(written: str, value: Json) -> None:
    assert one(f"a: {written}\n").value == {"a": value}


def test_aliases_are_resolved_where_they_are_small() -> None:
    assert one("a: &x {b: [1]}\nc: *x\n").value == {"a": {"b": [1]}, "c": {"b": [1]}}


def test_the_order_of_keys_is_kept() -> None:
    assert list(one("z: 1\na: 2\nm: 3\n").value) == ["z", "a", "m"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [1, 2", "a.yaml:1: This is not YAML"),
        ("a: 1\n\tb: 2", "a.yaml:2: This is not YAML"),
        ("a: 1\na: 2", "a.yaml:2: The key a stands here twice."),
        ("1: a", "a.yaml:1: A key must be a text"),
        ("? [a]\n: b", "A key must be a text"),
        ("? {a: b}\n: c", "A key must be a text"),
        ("a: !!python/object:os.system x", "a.yaml:1: Tags such as tag:yaml.org,2002:python/object:os.system"),
        ("a: !!int 5", "Tags such as"),
        ("a: ! 12", "Tags such as !"),
        ("a: &x {b: 1}\nc: {<<: *x}", "a.yaml:2: Merge keys"),
        ("a: *nowhere", "There is no anchor nowhere"),
        ("a: &x [*x]", "holds the alias itself"),
        ("a: .inf", "not a number JSON has"),
        ("a: .nan", "not a number JSON has"),
        ("a: " + "9" * 50, "too long"),
        ("a: \x07", "character YAML does not allow"),
        ("[" * 100 + "]" * 100, "nested more than"),
        ("a: " + "x" * 1_100_000, "larger than 1024 KiB"),
    ],
)
def test_what_is_not_plain_is_refused_with_its_line(text: str, words: str) -> None:
    assert words in fault(text)


def test_aliases_that_blow_up_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]

    assert "aliases counted in full" in fault("\n".join(lines))


def test_the_number_of_values_is_bounded() -> None:
    assert "more than" in fault("[" + "1," * (MAX_NODES + 1) + "]")
