"""The published JSON Schema of each kind of document. What it cannot say is checked in `document`."""

from typing import Any, Final

Json = Any

TOOL_NAME: Final = "^[A-Za-z][A-Za-z0-9_-]{0,63}$"
SLUG: Final = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
#: As the suppliers write them: letters, digits and . : @ / _ - (Bedrock and Vertex ids included).
MODEL_ID: Final = "^[A-Za-z0-9][A-Za-z0-9.:@/_-]{1,127}$"
NOT_BLANK: Final = r"\S"
POINTER: Final = "^(/([^~/]|~[01])*)+$"

EFFORTS: Final = ("low", "medium", "high", "xhigh", "max")
#: From harmless to irrevocable.
EFFECTS: Final = ("read", "write", "irreversible")
TOOL_TYPES: Final = ("http", "mcp", "python", "sql", "agent")

#: Levels of runs that calls of agents start, at most, whatever an agent's limits say.
MAX_DEPTH: Final = 8

MONTH_S: Final = 31 * 24 * 3600
YEAR_S: Final = 366 * 24 * 3600


def _object(properties: dict[str, Json], *required: str) -> dict[str, Json]:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def _text(longest: int = 4000) -> dict[str, Json]:
    return {"type": "string", "maxLength": longest, "pattern": NOT_BLANK}


def _whole(least: int, most: int) -> dict[str, Json]:
    return {"type": "integer", "minimum": least, "maximum": most}


def _lines() -> dict[str, Json]:
    return {"type": "array", "items": _text(2000), "maxItems": 100}


def _names(pattern: str) -> dict[str, Json]:
    return {
        "type": "array",
        "minItems": 1,
        "maxItems": 200,
        "uniqueItems": True,
        "items": {"type": "string", "pattern": pattern},
    }


def _grants(*permissions: str, **more: Json) -> dict[str, Json]:
    holders: dict[str, Json] = {"team": {"type": "string", "pattern": SLUG}, "user": _text(254)}
    one = _object({**holders, "permission": {"enum": list(permissions)}, **more}, "permission")
    one_holder = [{"required": [holder]} for holder in holders]
    return {"type": "array", "maxItems": 500, "items": {**one, "oneOf": one_holder}}


def _guard_rules(*then: str) -> dict[str, Json]:
    names = {"type": "array", "minItems": 1, "maxItems": 40, "uniqueItems": True, "items": {"type": "string"}}
    one = _object(
        {
            "at": {"type": "string", "maxLength": 500, "pattern": f"{POINTER}|^$"},
            "find": names,
            "then": {"enum": list(then)},
        },
        "find",
        "then",
    )
    return {"type": "array", "maxItems": 50, "items": one}


GUARDS: Final = _object(
    {
        "input": _object(
            {
                "max_bytes": _whole(2, 16 * 2**20),
                "max_depth": _whole(1, 64),
                "rules": _guard_rules("refuse", "escalate", "flag", "allow"),
            }
        ),
        "output": _object({"rules": _guard_rules("block", "escalate", "mask", "allow")}),
        "patterns": {
            "type": "object",
            "maxProperties": 50,
            "propertyNames": {"pattern": "^[a-z][a-z0-9_]{0,39}$"},
            "additionalProperties": _text(500),
        },
        "region": {"type": "string", "pattern": "^[A-Z]{2}$"},
    }
)


#: What becomes of an output that breaks a rule; a rule's id is the code by which records and questions name it.
ON_FAIL: Final = ("retry", "escalate", "reject")
_CODE: Final[Json] = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_.-]{0,59}$"}

#: When to escalate, in words that are written out for the model (`agents.core.tables`).
TEMPLATES: Final = ("ambiguity", "repeated_failure", "out_of_scope", "high_stakes")

TOOL: Final = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Tool",
    **_object(
        {
            "description": _text(),
            "type": {"enum": list(TOOL_TYPES)},
            "http": {"type": "object"},
            "mcp": {"type": "object"},
            "python": {"type": "object"},
            "sql": {"type": "object"},
            "agent": {"type": "object"},
            "input_schema": {"type": "object"},
            "output_schema": {"type": ["object", "boolean"]},
            "examples": {
                "type": "array",
                "maxItems": 20,
                "items": _object({"input": {"type": "object"}, "output": {}, "error": _text()}, "input"),
            },
            "effect": {"enum": list(EFFECTS)},
            "idempotent": {"type": "boolean"},
            "timeout_s": {"type": "number", "exclusiveMinimum": 0, "maximum": 600},
            "retries": _object(
                {"attempts": _whole(1, 10), "backoff_s": {"type": "number", "minimum": 0, "maximum": 60}}
            ),
            "cache_ttl_s": _whole(0, MONTH_S),
            "cache_scope": {"enum": ["principal", "tenant"]},
            "concurrency": _whole(1, 1000),
            "breaker": {
                **_object({"failures": _whole(1, 100), "open_s": _whole(1, 24 * 3600)}),
                "type": ["object", "null"],
            },
            "fallback": {"type": ["string", "null"], "pattern": TOOL_NAME},
            "compensate_with": {
                **_object(
                    {
                        "tool": {"type": "string", "pattern": TOOL_NAME},
                        "arguments": {"type": "object", "additionalProperties": {"type": "string"}},
                    },
                    "tool",
                ),
                "type": ["object", "null"],
            },
            "approval": {
                **_object(
                    {
                        "when": _text(),
                        "required": _whole(1, 10),
                        "queue": {"type": "string", "pattern": SLUG},
                        "expires_s": _whole(60, YEAR_S),
                    }
                ),
                "type": ["object", "null"],
            },
            "data": _object(
                {"untrusted": {"type": "boolean"}, "private": {"type": "boolean"}, "egress": {"type": "boolean"}}
            ),
            "taint": {"enum": ["ask", "allow"]},
            "grants": _grants("use", condition=_text()),
        },
        "description",
        "type",
    ),
}

AGENT: Final = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Agent",
    **_object(
        {
            "role": _text(),
            "constraints": _lines(),
            "workflow": _lines(),
            "escalation": _lines(),
            "model": _object(
                {
                    "id": {"type": "string", "pattern": MODEL_ID},
                    "effort": {"enum": list(EFFORTS)},
                    "max_tokens": _whole(1, 1_000_000),
                },
                "id",
            ),
            "triage": _object(
                {"model": {"type": "string", "pattern": MODEL_ID}, "escalate_when": _text()}, "model", "escalate_when"
            ),
            "guards": GUARDS,
            "tools": {"type": "array", "maxItems": 128, "items": {"type": "string", "pattern": TOOL_NAME}},
            "input_schema": {"type": "object"},
            "output_schema": {"type": "object"},
            "rules": {
                "type": "array",
                "maxItems": 100,
                "items": _object(
                    {
                        "id": _CODE,
                        "assert": _text(),
                        "message": _text(1000),
                        "on_fail": {"enum": list(ON_FAIL)},
                    },
                    "id",
                    "assert",
                ),
            },
            "decisions": {
                "type": "array",
                "maxItems": 100,
                "items": _object(
                    {"when": _text(2000), "then": {"enum": list(ON_FAIL)}, "code": _CODE, "message": _text(1000)},
                    *("when", "then", "code"),
                ),
            },
            "thresholds": {
                "type": "array",
                "maxItems": 20,
                "items": {
                    **_object(
                        {
                            "path": {"type": "string", "pattern": POINTER},
                            "at_least": {"type": "number"},
                            "at_most": {"type": "number"},
                            "then": {"enum": list(ON_FAIL)},
                            "code": _CODE,
                            "message": _text(1000),
                        },
                        *("path", "then", "code"),
                    ),
                    "anyOf": [{"required": ["at_least"]}, {"required": ["at_most"]}],
                },
            },
            "templates": {"type": "array", "uniqueItems": True, "items": {"enum": list(TEMPLATES)}},
            "escalate_when": _text(),
            "review": _object(
                {
                    "required": _whole(1, 10),
                    "queue": {"type": "string", "pattern": SLUG},
                    "due_s": _whole(60, YEAR_S),
                    "expires_s": _whole(60, YEAR_S),
                }
            ),
            "subject": {"type": "array", "maxItems": 20, "items": {"type": "string", "pattern": POINTER}},
            "appeal": _object(
                {
                    "allowed": {"type": "boolean"},
                    "within_s": _whole(60, 10 * YEAR_S),
                    "to": {"type": "string", "pattern": SLUG},
                },
                "allowed",
            ),
            "limits": _object(
                {
                    "turns": _whole(1, 1000),
                    "tool_calls": _whole(0, 10_000),
                    "validation_retries": _whole(0, 10),
                    "usd": {"type": ["string", "integer"]},
                    "tokens": _whole(1, 10**9),
                    "seconds": _whole(1, MONTH_S),
                    "depth": _whole(0, MAX_DEPTH),
                    "model_s": _whole(1, 3600),
                    "queued_s": _whole(1, MONTH_S),
                    "dedupe_s": _whole(0, 24 * 3600),
                }
            ),
            "grants": _grants("run", "edit", "review"),
        },
        "role",
        "model",
    ),
}

POLICY: Final = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Policy",
    **_object(
        {
            "description": _text(),
            "applies_to": {
                **_object(
                    {
                        "tools": _names(TOOL_NAME),
                        "agents": _names(SLUG),
                        "effects": {
                            "type": "array",
                            "minItems": 1,
                            "uniqueItems": True,
                            "items": {"enum": list(EFFECTS)},
                        },
                    }
                ),
                "minProperties": 1,
            },
            "when": _text(),
            "then": {"enum": ["approve", "deny"]},
            "required": _whole(1, 10),
            "queue": {"type": "string", "pattern": SLUG},
            "due_s": _whole(60, YEAR_S),
            "expires_s": _whole(60, YEAR_S),
        },
        "applies_to",
        "then",
    ),
}

SOURCE: Final = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "DataSource",
    **_object({"engine": {"enum": ["postgresql", "sqlite"]}, "url": _text(500)}, "engine", "url"),
}

MCP_SERVER: Final = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "McpServer",
    **_object(
        {
            "transport": {"enum": ["stdio", "http"]},
            "command": {
                "type": "array",
                "minItems": 1,
                "maxItems": 50,
                "items": {"type": "string", "maxLength": 1000},
            },
            "url": _text(2000),
            "headers": {"type": "object", "maxProperties": 50, "additionalProperties": {"type": "string"}},
        },
        "transport",
    ),
}

QUEUE: Final = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Queue",
    **_object(
        {
            "members": {"type": "array", "maxItems": 1000, "uniqueItems": True, "items": _text(254)},
            "teams": {
                "type": "array",
                "maxItems": 100,
                "uniqueItems": True,
                "items": {"type": "string", "pattern": SLUG},
            },
            "due_s": {"type": ["integer", "null"], "minimum": 60, "maximum": YEAR_S},
            "escalate_to": {"type": ["string", "null"], "pattern": SLUG},
            "undo_s": _whole(0, 24 * 3600),
            "must_open_from": _whole(0, 100),
        }
    ),
}

#: The arguments of every `sql` tool that does not write its own schema.
SQL_INPUT: Final = {
    "type": "object",
    "properties": {
        "query": {"type": "string", "description": "One SELECT statement."},
        "params": {"type": ["array", "object"], "description": "Values of the statement's placeholders."},
    },
    "required": ["query"],
    "additionalProperties": False,
}
