"""Which output schemas the API's structured outputs can express. Pure."""

from agents.core.model import Json, JsonObject

_NAMES_ONLY = ("$schema", "$id", "$comment")


class Inexpressible(Exception):
    """The schema allows values that structured outputs cannot: the call goes out without a format."""


def expressible(schema: Json) -> JsonObject:
    """Return the schema in words that the SDK's `transform_schema` understands.

    The SDK closes every object, so a schema with an open object, which would then only allow `{}`, is refused; so are
    schemas without a type. Constraints stay: the SDK moves those the API lacks into descriptions, and the answer is
    checked against the original anyway. Raises `Inexpressible`.
    """
    if not isinstance(schema, dict):
        raise Inexpressible("a schema that is only true or false")
    return _expressible({key: value for key, value in schema.items() if key not in _NAMES_ONLY})


def _expressible(schema: JsonObject) -> JsonObject:
    if "definitions" in schema:
        raise Inexpressible("`definitions`; use `$defs`")
    if "$defs" in schema:
        schema["$defs"] = {name: expressible(value) for name, value in schema["$defs"].items()}
    if "$ref" in schema:
        if not str(schema["$ref"]).startswith("#/$defs/"):
            raise Inexpressible("a `$ref` outside `#/$defs/`")
        return schema
    kind = schema.get("type", _implied_type(schema))
    if isinstance(kind, list):
        # "type": ["string", "null"] is one alternative a type.
        return {"anyOf": [expressible({**schema, "type": one}) for one in kind]}
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            if "properties" in schema or "items" in schema:
                raise Inexpressible(f"`{key}` beside properties or items")
            return {**schema, key: [expressible(variant) for variant in schema[key]]}
    if _is_literal(schema):
        return schema
    if kind == "object":
        return {**schema, "type": kind, "properties": _properties(schema)}
    if kind == "array" and "items" in schema:
        return {**schema, "type": kind, "items": expressible(schema["items"])}
    if kind not in ("array", "string", "integer", "number", "boolean", "null"):
        raise Inexpressible("a schema without a type")
    return {**schema, "type": kind}


def _implied_type(schema: JsonObject) -> str | None:
    return "object" if "properties" in schema else "array" if "items" in schema else None


def _is_literal(schema: JsonObject) -> bool:
    enum = schema.get("enum")
    values = enum if isinstance(enum, list) and enum else [schema["const"]] if "const" in schema else []
    return bool(values) and all(value is None or isinstance(value, str | int | float) for value in values)


def _properties(schema: JsonObject) -> JsonObject:
    properties = schema.get("properties") or {}
    closed = schema.get("additionalProperties") is False
    if not properties and not closed:
        raise Inexpressible("an object with open properties")
    if not set(schema.get("required") or ()) <= set(properties):
        raise Inexpressible("a required property that is not described")
    return {name: expressible(value) for name, value in properties.items()}
