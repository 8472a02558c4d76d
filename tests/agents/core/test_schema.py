"""Schemas and values of strangers: what is valid is so, and nobody keeps a worker busy with them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from agents.core.bounded_schema import TooMuchWork, budget
from agents.core.schema import problems, schema_problems, validator

Json = Any


def found(schema: Json, value: Json) -> list[tuple[str, str]]:
    return [(each.pointer, each.message) for each in problems(validator(schema), value)]


def multiplying(levels: int) -> Json:
    """A schema of a few lines that asks the same thing two to the power of `levels` times."""
    definitions: Json = {f"a{level}": {"allOf": [{"$ref": f"#/$defs/a{level + 1}"}] * 2} for level in range(levels)}
    definitions[f"a{levels}"] = {"type": "object"}
    return {"$defs": definitions, "$ref": "#/$defs/a0"}


def test_a_pattern_that_backtracks_for_ever_elsewhere_is_searched_at_once() -> None:
    schema = {"properties": {"x": {"pattern": "^(a+)+$"}}}
    assert found(schema, {"x": "a" * 5000}) == []
    assert [pointer for pointer, _ in found(schema, {"x": "a" * 5000 + "!"})] == ["/x"]


@pytest.mark.parametrize(
    "keyword", [{"pattern": "(?=a)b"}, {"patternProperties": {"(a)\\1": {}}}, {"pattern": "a{5000}"}], ids=str
)
def test_a_pattern_that_cannot_be_bounded_is_refused_when_it_is_saved(keyword: Json) -> None:
    [problem] = schema_problems({"properties": {"x": keyword}})
    assert problem.pointer == f"/properties/x/{next(iter(keyword))}"
    assert "bounded time" in problem.message
    [older] = found({"patternProperties": {"x": {"pattern": "(?=a)b"}}}, {"x": "b"})
    assert older[0] == "/x"


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("https://elsewhere.example/schema", "leads out"),
        ("#/$defs/none", "nowhere"),
        ("#none", "nowhere"),
        ("http://[", "nowhere"),
        ("#/$defs/first", "without end"),
    ],
)
def test_a_reference_that_leads_nowhere_is_refused_when_it_is_saved(reference: str, says: str) -> None:
    circle = {"first": {"$ref": "#/$defs/second"}, "second": {"$ref": "#/$defs/first"}}
    schema = {"$defs": circle if "first" in reference else {}, "properties": {"x": {"$ref": reference}}}
    problem = schema_problems(schema)[-1]
    assert problem.pointer == "/properties/x/$ref"
    assert says in problem.message


def test_a_reference_in_an_older_schema_that_leads_nowhere_is_an_error_of_the_check() -> None:
    [(pointer, message)] = found({"properties": {"x": {"$ref": "https://elsewhere.example/schema"}}}, {"x": 1})
    assert (pointer, "leads nowhere" in message) == ("", True)


def test_references_inside_the_schema_are_followed() -> None:
    tree = {
        "$id": "https://here.example/tree",
        "$defs": {"node": {"$anchor": "node", "properties": {"$ref": {}, "below": {"items": {"$ref": "#node"}}}}},
        "properties": {"a": {"$ref": "#/$defs/node"}, "b": {"$ref": "tree#node"}, "c": {"$ref": "#"}},
    }
    assert schema_problems(tree) == []
    assert found(tree, {"a": {"below": [{"below": []}]}, "c": {"a": {}}}) == []


def test_a_pattern_with_a_large_program_pays_for_it() -> None:
    heavy = {"pattern": "^(a|b)*a" + "(a|b){900}" * 64 + "c$"}
    [(_, said)] = found(heavy, "ab" * 10_000)
    assert "too much work" in said
    assert found({"pattern": r"^\p{L}{1,200}$"}, "Ångström") == []


def test_words_that_look_like_patterns_are_none() -> None:
    schema = {"properties": {"pattern": {"type": "string"}, "y": {"const": {"pattern": "(?=a)"}}}}
    assert schema_problems(schema) == []


def test_references_that_multiply_end() -> None:
    [(pointer, said)] = found(multiplying(60), {})
    assert (pointer, "too much work" in said) == ("", True)
    assert [problem.pointer for problem in schema_problems(multiplying(60))] == [""]
    assert found(multiplying(5), {}) == []


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"items": {"anyOf": [{"const": each} for each in range(3000)]}}, ["x"] * 3000),
        ({"items": {"enum": [str(each) for each in range(20_000)]}}, ["x"] * 30_000),
        ({"allOf": [{"items": {"type": "integer"}}] * 3000}, [1] * 3000),
    ],
    ids=["alternatives", "a long enum", "many passes"],
)
def test_what_multiplies_schema_and_value_ends(schema: Json, value: Json) -> None:
    [(_, said)] = found(schema, value)
    assert "too much work" in said


def test_large_values_of_plain_schemas_are_checked() -> None:
    row = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}, "required": ["a", "b"]}
    rows = {"type": "array", "items": row, "uniqueItems": True}
    assert found(rows, [{"a": each, "b": "x"} for each in range(10_000)]) == []
    assert len(found(rows, [{"a": "x", "b": "x"} for _ in range(10_000)])) == 20


def test_the_budget_is_one_checks_own() -> None:
    check = validator({"items": {"type": "integer"}})
    with budget(50), pytest.raises(TooMuchWork):
        check.is_valid([1] * 1000)
    assert check.is_valid([1] * 1000)


@pytest.mark.parametrize(
    ("schema", "value", "fits"),
    [
        ({"patternProperties": {"^x-": {"type": "integer"}}, "additionalProperties": False}, {"x-a": 1}, True),
        ({"patternProperties": {"^x-": {"type": "integer"}}, "additionalProperties": False}, {"x-a": "1"}, False),
        ({"patternProperties": {"^x-": {}}, "additionalProperties": False}, {"y": 1}, False),
        ({"properties": {"a": {}}, "additionalProperties": {"type": "string"}}, {"a": 1, "b": 2}, False),
        ({"properties": {"a": {}}, "additionalProperties": {"type": "string"}}, {"a": 1, "b": "2"}, True),
        ({"pattern": "^\\u00e9\\d{3}$"}, "é123", True),
        ({"pattern": "b"}, "abc", True),
        ({"pattern": "^a$"}, "\ud800", False),
        ({"uniqueItems": True}, [1, True, "1", None, [1], {"a": 1}], True),
        ({"uniqueItems": True}, [1, 1.0], False),
        ({"uniqueItems": True}, [{"a": 1, "b": 2}, {"b": 2.0, "a": 1}], False),
    ],
    ids=str,
)
def test_keywords_of_our_own_mean_what_the_standard_says(schema: Json, value: Json, fits: bool) -> None:
    assert (found(schema, value) == []) is fits


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 1.0]) | st.sampled_from(["", "a", "x-a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "x-a", "b"]), inner, max_size=3),
    max_leaves=6,
)
SCHEMA = st.recursive(
    st.booleans()
    | st.fixed_dictionaries({"type": st.sampled_from(["object", "array", "string", "integer", "number", "boolean"])})
    | st.fixed_dictionaries({"pattern": st.sampled_from(["^x-", "a", "^$"])}),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "properties": st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2),
            "patternProperties": st.dictionaries(st.sampled_from(["^x-", "b"]), inner, max_size=2),
            "additionalProperties": inner,
            "items": inner,
            "uniqueItems": st.booleans(),
            "anyOf": st.lists(inner, min_size=1, max_size=2),
        },
    ),
    max_leaves=6,
)


@given(SCHEMA, JSON)
def test_what_is_valid_is_what_the_library_says(schema: Json, value: Json) -> None:
    assert validator(schema).is_valid(value) == Draft202012Validator(schema).is_valid(value)
