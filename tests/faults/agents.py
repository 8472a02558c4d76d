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
    approved and must not be made twice. payer: the payment alone. reader, looker: one read. boss: calls the reader;
    chair: the reader and the payer at once; porter: hands over to the reader; jury: has reader and looker debate two
    rounds; undoer: calls the keeper, who books, and has its own answer rejected by a rule, so that this is undone.
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
    world.define("looker", role="You only look.", more_tools=["read"])
    hand_over = {**_ASK, "agent": {"name": "reader", "mode": "handoff"}}
    world.define("porter", role="You hand over.", tool_specs={"hand_over": hand_over})
    debate = {**_ASK, "agent": {"mode": "debate", "names": ["reader", "looker"], "rounds": 2}}
    world.define("jury", role="You have it debated.", tool_specs={"debate": debate})
    _define_undone(world, place)


def _define_undone(world: World, place: str) -> None:
    unkeep = http("POST", f"{place}/once/un-{{case}}", effect="write", idempotent=True)
    keep = http("POST", f"{place}/once/{{case}}", effect="write", idempotent=True)
    keep["compensate_with"] = {"tool": "unkeep", "arguments": {"case": "args.case"}}
    world.define("keeper", role="You only keep.", tool_specs={"unkeep": unkeep, "keep": keep})
    nothing = {"id": "nothing", "assert": "output.kept == 0", "message": "Keep nothing.", "on_fail": "reject"}
    world.define(
        "undoer",
        role="You have it kept.",
        tool_specs={"ask_keeper": {**_ASK, "agent": {"name": "keeper", "mode": "call"}}},
        output_schema={"type": "object", "properties": {"kept": {"type": "integer"}}, "required": ["kept"]},
        rules=[nothing],
    )
