"""What an expression may take is told before it is evaluated, and what may take long is not evaluated at all."""

from typing import Any

import pytest

from agents.core import cel_work, rules
from agents.core.cel_tree import tree

Json = Any

NAMES = rules.OUTPUT_RULE
LONG = list(range(10_000))
VALUES: Json = {
    "input": {"long": LONG, "by_name": {str(each): each for each in LONG}, "pattern": "(a?){1000}b"},
    "output": {
        "long": LONG,
        "most": LONG[:9_000],
        "text": "a" * 200_000,
        "part": "a" * 100_000 + "b",
        "broken": "(" * 100_000,
        "long_name": {"k" * 200_000: 1},
        "small": [{"a": 1}] * 9_000,
        "one": {"a": 1},
        "rows": [{"id": each, "note": "x" * 40} for each in range(500)],
    },
    "tools": {"find": [{"rows": [{"id": each, "of": each % 7} for each in range(90)]}]},
}

HOSTILE = [
    "output.long.all(x, !(x in input.long) || true)",
    "output.long.all(x, input.long == output.long || true)",
    "output.long.all(x, size(output.text + output.text) > 0)",
    "output.long.map(x, output.long + output.long).size() > 0",
    "output.long.map(x, x).map(x, x).size() > 0",
    "output.long.filter(x, x > 0).size() > 0",
    "input.by_name.all(name, input.by_name == input.by_name)",
    "output.long.all(x, output.text.contains('ab') || true)",
    "output.long.all(x, string(output.text) != 'a')",
    "output.text.matches('(a?){1000}b')",
    "output.text.matches('(((a|b|ab)?){100}){9}c')",
    "output.text.matches(input.pattern)",
    "output.text.matches('a' + input.pattern)",
    "[0, 1, 2, 3, 4, 5, 6, 7].map(a, [0, 1, 2, 3, 4, 5, 6, 7].map(b, output.long + output.long)).size() > 0",
    "size(" + " + ".join(["output.text"] * 25) + ") > 0",
    " || ".join(["output.long == input.long && false"] * 100),
    "[output.long, output.long].all(x, [input.long, input.long].all(y, output.rows.all(row, x == y)))",
    # Texts put together, which nothing is read of.
    "[output.text + 'x'].exists(s, output.most.all(y, size(s) > 0))",
    "output.most.all(y, size(string(output.text)) > 0)",
    "output.most.all(y, size((y > 0 ? output.text : [1]) + output.text) > 0)",
    # Names looked up, hashed and said in the error, whether they are there or not.
    "output.most.all(y, {'a': 1}[output.text] == 1 || true)",
    "output.most.all(y, output.one[output.text] == 1 || true)",
    "output.most.all(y, output.one[output.text + 'x'] == 1 || true)",
    "output.most.all(y, output.text in output.one || true)",
    "output.most.all(y, {output.text: 1} != {})",
    "output.most.all(y, output.long_name == output.one || true)",
    "output.long_name in output.small",
    "output.most.all(y, 7 in (y > 0 ? output.one : output.most + output.most))",
    "output.most.all(y, {'a': output.text, 'b': output.most}[y > 0 ? 'a' : 'b' + ''].contains('b') || true)",
    # What it is of is not known of any more, or never was.
    "dyn(output.most).all(x, dyn(output.text).contains('b') || true)",
    "google.protobuf.ListValue{values: output.most}.all(x, output.text.contains('b') || true)",
    "output.most.all(y, google.protobuf.StringValue{value: output.text} != '')",
    # What is searched for is everywhere but for its end.
    "output.text.contains(output.part)",
    # Patterns: compiled each time; too large for that, or of few instructions after much of it; not the one looked at.
    r"output.most.all(y, 'a'.matches('\\pL{1000}') || true)",
    r"output.most.all(y, 'a'.matches('\\pL|\\pN|\\pL') || true)",
    "output.most.all(y, 'a'.matches(output.broken) || true)",
    "output.text.matches(input.long[0] > 0 ? 'a' : '(a?){1000}b' + '')",
    # Zones: looked up among files; kept for good.
    "output.most.all(y, timestamp(0).getHours('Africa/Lome') >= 0)",
    "timestamp(0).getHours(output.text) == 1",
]

HONEST = [
    "output.most.all(x, x >= 0 && x < 10000)",
    "output.rows.all(row, row.note != '' && row.id >= 0)",
    "output.most.exists_one(x, x == 7)",
    "output.rows.filter(row, row.id > 250).size() == 249",
    "output.rows.map(row, row.id).size() == 500",
    "tools.find[0].rows.all(row, tools.find[0].rows.exists(other, other.of == row.of))",
    "output.rows.all(row, row.note.matches('^x+$'))",
    "output.text.size() == 200000 && output.text.startsWith('aaa') && !output.text.contains('b')",
    "output.text.matches('^a+$')",
    "9999 in input.long && '77' in input.by_name && input.by_name['77'] == 77",
    "input.long == output.long",
    "(output.long.size() > 3 ? output.rows : tools.find[0].rows).exists(row, row.id == 3)",
    "output.rows.all(row, row.note.contains('x') && (row.note + 'y').size() > 40 && {'a': row.note}['a'] == row.note)",
    "dyn(output.rows).all(row, string(row.id) != row.note && output.one == {'a': 1} && !('b' in output.one))",
    "timestamp('2026-01-01T00:00:00Z').getHours('Africa/Lome') == 0 && timestamp(0).getFullYear() == 1970",
    "'Ab1'.matches('^[\\\\pL]+[0-9]{1,3}$')",
    "[1, 2, 3].exists_one(x, x == output.rows[1]['id']) && {'a': [1]}['a'][0] == 1",
]


@pytest.mark.parametrize("expression", HOSTILE, ids=range(len(HOSTILE)))
def test_what_would_take_long_is_neither_a_yes_nor_a_no(expression: str) -> None:
    rules.check(expression, NAMES)
    assert not rules.holds(expression, NAMES, VALUES)
    assert rules.asks(expression, NAMES, VALUES)
    with pytest.raises(rules.BadRule, match="takes too much work here"):
        rules.value(expression, NAMES, VALUES)


@pytest.mark.parametrize("expression", HONEST, ids=range(len(HONEST)))
def test_what_people_write_is_evaluated(expression: str) -> None:
    assert rules.holds(expression, NAMES, VALUES)


def test_a_value_that_grows_with_each_step_is_not_made() -> None:
    twice = "[1, 2]"
    for name in "abcdefgh":
        twice = f"[1, 2, 3, 4, 5, 6].map({name}, {twice})"
    with pytest.raises(rules.BadRule, match="takes too much work here"):
        rules.value(twice, NAMES, VALUES)


def test_the_deepest_expression_that_compiles_is_looked_through() -> None:
    deepest = "output" + ".long" * 28 + " == 1"
    rules.check(deepest, NAMES)
    assert not rules.holds(deepest, NAMES, VALUES)
    assert rules.holds(" && ".join(["true"] * 200), NAMES, VALUES)


def test_the_bound_is_of_the_values_at_hand() -> None:
    written = rules._compiled("output.all(x, output == input)", NAMES).program
    cel_work.check(tree(written.serialize()), {"input": [1], "output": [1]})
    with pytest.raises(cel_work.TooMuchWork):
        cel_work.check(tree(written.serialize()), {"input": LONG, "output": LONG})
