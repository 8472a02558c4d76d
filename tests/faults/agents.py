"""The agents that the fault tests run, and what their tools are. Their scripts lie in `scripts/`."""

from typing import Any

from tests.worlds import World

Json = Any

_CASE: Json = {"type": "object", "properties": {"case": {"type": "string"}}, "required": ["case"]}


_ASK: Json = {"description": "Ask another agent.", "type": "agent", "input_schema": _CASE}


def http(method: str, url: str, **more: Json) -> Json:
    """The definition of an `http` tool that takes `{case}`."""
    return {
        "description": f"{method} {url.rpartition('/')[0]}.",
        "type": "http",
        "http": {"method": method, "url": url},
        "input_schema": _CASE,
        **more,
    }


def define(world: World, place: str) -> None:
    """Make the agents. place: address of the server of effects.

    careful: two calls at once (a read that is retried, a write that may be repeated), then a payment that must be
    approved and must not be made twice. payer: the payment alone. reader: one read. boss: calls the reader; chair: the
    reader and the payer at once.
    """
    read = http("GET", f"{place}/read/{{case}}", retries={"attempts": 2, "backoff_s": 0.01})
    book = http("POST", f"{place}/once/{{case}}", effect="write", idempotent=True)
    book["http"]["headers"] = {"X-Token": "secret:token"}
    pay = http("POST", f"{place}/each/{{case}}", effect="irreversible")
    tools = {"read": read, "book": book, "pay": pay}
    limits = {"validation_retries": 1}
    world.define("careful", role="You are careful.", tool_specs=tools, limits=limits)
    world.define("payer", role="You only pay.", more_tools=["pay"])
    world.define("reader", role="You only read.", more_tools=["read"])
    asks = {f"ask_{name}": {**_ASK, "agent": {"name": name, "mode": "call"}} for name in ("reader", "payer")}
    world.define("chair", role="You ask two at once.", tool_specs=asks)
    world.define("boss", role="You delegate.", more_tools=["ask_reader"])
