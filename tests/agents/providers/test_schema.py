"""Which output schemas structured outputs can express."""

from typing import Any

import pytest

from agents.providers.claude import accepted_schema


@pytest.mark.parametrize(
    "schema",
    [
        True,
        {},
        {"type": "object"},
        {"type": "object", "additionalProperties": {"type": "string"}},
        {"type": "object", "properties": {"a": {"type": "object"}}},
        {"type": "object", "properties": {"a": True}},
        {"type": "object", "properties": {"a": {}}},
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["b"]},
        {"type": "array", "items": {"description": "anything"}},
        {"type": "object", "properties": {"a": {"type": "string"}}, "anyOf": [{"required": ["a"]}]},
        {"$ref": "#/definitions/a", "definitions": {"a": {"type": "string"}}},
        {"$ref": "https://example.org/schema"},
        {"not": {"type": "string"}},
        {"enum": [{"a": 1}]},
    ],
)
def test_what_it_cannot_say_is_not_said_wrongly(schema: Any) -> None:
    assert accepted_schema(schema) is None


@pytest.mark.parametrize(
    ("schema", "accepted"),
    [
        ({"enum": ["a", None, 1]}, {"enum": ["a", None, 1]}),
        ({"const": 1}, {"const": 1}),
        ({"type": "array", "items": {"type": "integer"}}, {"type": "array", "items": {"type": "integer"}}),
        ({"oneOf": [{"type": "null"}, {"type": "boolean"}]}, {"anyOf": [{"type": "null"}, {"type": "boolean"}]}),
        ({"type": ["null", "boolean"]}, {"anyOf": [{"type": "null"}, {"type": "boolean"}]}),
        (
            {"type": "object", "additionalProperties": False},
            {"type": "object", "properties": {}, "additionalProperties": False},
        ),
        (
            {"properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"type": "string", "maxLength": 3}}},
            {
                "$defs": {"a": {"type": "string", "description": "{maxLength: 3}"}},
                "type": "object",
                "properties": {"a": {"$ref": "#/$defs/a"}},
                "additionalProperties": False,
            },
        ),
    ],
)
def test_what_it_can_say_is_said_in_its_words(schema: Any, accepted: Any) -> None:
    assert accepted_schema(schema) == accepted
