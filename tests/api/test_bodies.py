"""What the reader of bodies refuses, and where it points."""

import json

import pytest
from django.test import RequestFactory

from api.bodies import Body, parse
from api.errors import InvalidBody, MalformedJson


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b'{"a": 1,}', "line 1, column"),
        (b'{"a": 1\n "b": 2}', "line 2, column 2"),
        (b"", "line 1"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": -Infinity}', "-Infinity"),
        (b'{"a": 1e999}', "1e999"),
        (b'{"a": ' + b"1" * 5000 + b"}", "number"),
        (b'{"a": -' + b"9" * 310 + b"}", "beyond a double's range"),
        (b'{"a": {"b": 1, "b": 2}}', "'/a' names 'b' twice"),
        (b'{"a": "\xff"}', "UTF-8 (at byte 7)"),
        (b"\xef\xbb\xbf{}", "BOM"),
        (b"[" * 100_000, "nests deeper"),
        (b"{} {}", "Extra data"),
        (b"{'a': 1}", "line 1, column 2"),
    ],
)
def test_it_refuses_what_is_not_json(raw: bytes, said: str) -> None:
    with pytest.raises(MalformedJson) as refused:
        parse(raw)

    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("raw", "pointer"),
    [
        (rb'{"a": ["x", "\u0000"]}', "/a/1"),
        (rb'{"a": {"b/~c": "\ud800"}}', "/a/b~1~0c"),
        (rb'{"a": {"\udfff": 1}}', "/a"),
        (b'{"a":' * 70 + b"1" + b"}" * 70, "/a" * 64),
    ],
)
def test_it_refuses_what_cannot_be_kept(raw: bytes, pointer: str) -> None:
    with pytest.raises(InvalidBody) as refused:
        parse(raw)

    assert [error["pointer"] for error in refused.value.errors] == [pointer]


@pytest.mark.parametrize(
    "raw", [b"1", b'"\\ud83d\\ude00"', b"[1.0, 9007199254740993, -0.0, 1e300]", b"1" * 308, b'{"a": {}, "b": null}']
)
def test_it_reads_all_other_json(raw: bytes) -> None:
    parse(raw)


def test_the_schema_of_a_body_is_shown_with_its_example() -> None:
    body = Body({"type": "object"}, example={"a": 1})

    assert body.schema == {"type": "object", "examples": [{"a": 1}]}


NAMED = {
    "role": {"enum": ["viewer", None]},
    "scopes": {"type": "array", "minItems": 1, "maxItems": 2, "uniqueItems": True},
    "size": {"type": "integer", "minimum": 1},
    "slug": {"type": "string", "pattern": "^[a-z]+$", "minLength": 4},
    "labels": {"type": "object", "maxProperties": 1, "propertyNames": {"maxLength": 3}},
}


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        ({"role": "owner"}, "Write one of viewer, null."),
        ({"scopes": []}, "This must not be empty."),
        ({"scopes": ["a", "b", "c"]}, "This is too long: at most 2."),
        ({"scopes": ["a", "a"]}, "The same stands here twice."),
        ({"size": 0}, "0 is outside the bounds: at least 1."),
        ({"size": "x"}, "Write a whole number."),
        ({"slug": "ABCD"}, "does not have the right form"),
        ({"slug": "abc"}, "This is too short: at least 4 characters."),
        ({"labels": {"long": 1}}, 'The name "long": This is too long: at most 3 characters.'),
        ({"labels": {"a": 1, "b": 2}}, "These are too many: at most 1."),
    ],
)
def test_what_a_field_does_not_take_is_told_in_a_sentence(sent: dict[str, object], says: str) -> None:
    raw = json.dumps(sent).encode()
    request = RequestFactory().post("/", raw, content_type="application/json")

    with pytest.raises(InvalidBody) as refused:
        Body({"type": "object", "properties": NAMED}).read(request)

    [fault] = refused.value.errors
    assert fault["pointer"] == f"/{next(iter(sent))}"
    assert says in fault["detail"]
