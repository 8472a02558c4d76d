"""What the Messages API demands of a request, apart from its messages. Each breach is a 400 in the API's words.

Source: `message_create_params.py`, `tool_param.py`, `thinking_config_param.py`, `output_config_param.py` of the
`anthropic` SDK 2.x; the wording follows the real API's answers.
"""

import functools
import json
import re
from collections.abc import Mapping

import jsonschema
from jsonschema import Draft202012Validator

from agents.core.model import Json, JsonObject
from agents.providers.catalogue import shipped_entries
from agents.providers.rehearsal.errors import Rejected, extra, invalid, missing

COUNT_FIELDS = frozenset(
    {"model", "messages", "system", "tools", "tool_choice", "thinking", "output_config", "cache_control", "speed"}
)
SAMPLING = ("temperature", "top_p", "top_k")
CREATE_FIELDS = COUNT_FIELDS | {
    "max_tokens",
    "container",
    "diagnostics",
    "inference_geo",
    "metadata",
    "service_tier",
    "stop_sequences",
    "stream",
    *SAMPLING,
}
_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_TOOL_FIELDS = frozenset(
    {
        "name",
        "description",
        "input_schema",
        "type",
        "cache_control",
        "strict",
        "input_examples",
        "defer_loading",
        "allowed_callers",
        "eager_input_streaming",
    }
)
# What structured outputs do not take; the SDK's `transform_schema` moves them into descriptions.
_UNSUPPORTED_IN_FORMAT = (
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "patternProperties",
    "oneOf",
    "not",
    "if",
)


def check(body: Json, *, counting: bool = False) -> JsonObject:
    """Check everything but the messages' content; return the catalogue entry of the model. Raises `Rejected`."""
    if not isinstance(body, dict):
        raise invalid("The request body is not a JSON object.")
    for name in ("model", "messages") if counting else ("max_tokens", "model", "messages"):
        if body.get(name) is None:
            raise missing(name)
    for name in body:
        if name not in (COUNT_FIELDS if counting else CREATE_FIELDS):
            raise extra(name)
    model = _model(body["model"])
    if not counting:
        _check_max_tokens(body["max_tokens"], model)
        _check_sampling(body, model)
    _check_system(body.get("system"))
    _check_tools(body.get("tools"))
    _check_tool_choice(body.get("tool_choice"), body.get("tools"))
    _check_thinking(body, model)
    _check_output_config(body.get("output_config"), model)
    if body.get("stream") not in (None, True, False):
        raise invalid("stream: Input should be a valid boolean")
    check_cache_control(body.get("cache_control"), "cache_control")
    return model


def check_cache_control(value: Json, path: str) -> None:
    """Check one cache marker."""
    if value is None:
        return
    if not isinstance(value, dict) or value.get("type") != "ephemeral":
        raise invalid(f"{path}.type: Input should be 'ephemeral'")
    if value.get("ttl", "5m") not in ("5m", "1h"):
        raise invalid(f"{path}.ttl: Input should be '5m' or '1h'")


def _model(name: Json) -> JsonObject:
    if not isinstance(name, str):
        raise invalid("model: Input should be a valid string")
    known = _models()
    model = known.get(name) or known.get(re.sub(r"-\d{8}$", "", name))
    if model is None:
        raise Rejected(404, "not_found_error", f"model: {name}")
    return model


@functools.cache
def _models() -> Mapping[str, JsonObject]:
    return {entry["id"]: entry for entry in shipped_entries()}


def _check_max_tokens(value: Json, model: JsonObject) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise invalid("max_tokens: Input should be a valid integer")
    if value < 0:
        raise invalid("max_tokens: Input should be greater than or equal to 0")
    limit = model["max_output_tokens"]
    if value > limit:
        raise invalid(
            f"max_tokens: {value} > {limit}, which is the maximum allowed number of output tokens for {model['id']}"
        )


def _check_sampling(body: JsonObject, model: JsonObject) -> None:
    for name in SAMPLING:
        if name in body and not model["sampling"]:
            raise invalid(f"{name}: `{name}` is not supported by {model['id']}")


def _check_system(system: Json) -> None:
    if system is None or isinstance(system, str):
        return
    if not isinstance(system, list):
        raise invalid("system: Input should be a valid string or list of text blocks")
    for index, block in enumerate(system):
        if not isinstance(block, dict) or block.get("type") != "text" or not isinstance(block.get("text"), str):
            raise invalid(f"system.{index}: Input should be a text block")
        if not block["text"]:
            raise invalid("system: text content blocks must be non-empty")
        check_cache_control(block.get("cache_control"), f"system.{index}.cache_control")


def _check_tools(tools: Json) -> None:
    if tools is None:
        return
    if not isinstance(tools, list):
        raise invalid("tools: Input should be a valid list")
    names: set[str] = set()
    for index, tool in enumerate(tools):
        if not isinstance(tool, dict):
            raise invalid(f"tools.{index}: Input should be a valid dictionary")
        if tool.get("type") in (None, "custom"):
            _check_tool(tool, f"tools.{index}.custom")
        name = tool.get("name")
        if name in names:
            raise invalid("tools: Tool names must be unique.")
        names.add(str(name))


def _check_tool(tool: JsonObject, path: str) -> None:
    for name in tool:
        if name not in _TOOL_FIELDS:
            raise extra(f"{path}.{name}")
    for name in ("name", "input_schema"):
        if tool.get(name) is None:
            raise missing(f"{path}.{name}")
    if not isinstance(tool["name"], str) or not _TOOL_NAME.fullmatch(tool["name"]):
        raise invalid(f"{path}.name: String should match pattern '^{_TOOL_NAME.pattern}$'")
    if "description" in tool and not isinstance(tool["description"], str):
        raise invalid(f"{path}.description: Input should be a valid string")
    schema = tool["input_schema"]
    if not isinstance(schema, dict):
        raise invalid(f"{path}.input_schema: Input should be a valid dictionary")
    if "type" not in schema:
        raise missing(f"{path}.input_schema.type")
    if schema["type"] != "object":
        raise invalid(f"{path}.input_schema.type: Input should be 'object'")
    if (problem := _schema_problem(json.dumps(schema))) is not None:
        raise invalid(
            f"{path}.input_schema: JSON schema is invalid. It must match JSON Schema draft 2020-12. ({problem})"
        )
    check_cache_control(tool.get("cache_control"), f"{path}.cache_control")


@functools.lru_cache(maxsize=1024)
def _schema_problem(schema: str) -> str | None:
    try:
        Draft202012Validator.check_schema(json.loads(schema))
    except jsonschema.SchemaError as error:
        return error.message
    return None


def _check_tool_choice(choice: Json, tools: Json) -> None:
    if choice is None:
        return
    if not isinstance(choice, dict) or choice.get("type") not in ("auto", "any", "tool", "none"):
        raise invalid("tool_choice.type: Input should be 'auto', 'any', 'tool' or 'none'")
    if not tools:
        raise invalid("tool_choice: `tool_choice` may only be specified while providing `tools`")
    if choice["type"] == "tool" and choice.get("name") not in {tool.get("name") for tool in tools}:
        raise invalid(f"tool_choice: Tool '{choice.get('name')}' not found in provided tools")


def _check_thinking(body: JsonObject, model: JsonObject) -> None:
    thinking = body.get("thinking")
    if thinking is None:
        return
    kind = thinking.get("type") if isinstance(thinking, dict) else None
    if kind not in model["thinking"]:
        allowed = ", ".join(f"'{each}'" for each in model["thinking"])
        raise invalid(f"thinking.type: {model['id']} accepts {allowed}")
    if kind != "enabled":
        return
    budget = thinking.get("budget_tokens")
    if budget is None:
        raise missing("thinking.enabled.budget_tokens")
    if not isinstance(budget, int) or budget < 1024:
        raise invalid("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
    if budget >= body.get("max_tokens", budget + 1):
        raise invalid("`max_tokens` must be greater than `thinking.budget_tokens`.")


def _check_output_config(config: Json, model: JsonObject) -> None:
    if config is None:
        return
    if not isinstance(config, dict):
        raise invalid("output_config: Input should be a valid dictionary")
    for name in config:
        if name not in ("effort", "format"):
            raise extra(f"output_config.{name}")
    effort = config.get("effort")
    if effort is not None and effort not in model["effort"]:
        raise invalid(f"output_config.effort: {model['id']} does not support effort {effort!r}")
    form = config.get("format")
    if form is None:
        return
    if not isinstance(form, dict) or form.get("type") != "json_schema":
        raise invalid("output_config.format.type: Input should be 'json_schema'")
    if not isinstance(form.get("schema"), dict):
        raise missing("output_config.format.schema")
    if (problem := _schema_problem(json.dumps(form["schema"])) or _format_problem(form["schema"])) is not None:
        raise invalid(f"output_config.format.schema: {problem}")


def _format_problem(schema: Json) -> str | None:
    """Say what structured outputs cannot express, anywhere in a valid schema."""
    if not isinstance(schema, dict):
        return "Boolean schemas are not supported"
    for name in _UNSUPPORTED_IN_FORMAT:
        if name in schema:
            return f"For '{schema.get('type')}' type, property '{name}' is not supported"
    if schema.get("minItems", 0) not in (0, 1):
        return "For 'array' type, 'minItems' values other than 0 or 1 are not supported"
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        return "For 'object' type, 'additionalProperties' must be explicitly set to false"
    nested = [*schema.get("properties", {}).values(), *schema.get("$defs", {}).values()]
    nested += [*schema.get("anyOf", ()), *schema.get("allOf", ())]
    if "items" in schema:
        nested.append(schema["items"])
    return next((problem for each in nested if (problem := _format_problem(each)) is not None), None)
