"""LangGraph with PostgresSaver, durability="sync". Bare nodes, no LangChain model.

--mode shared      one compiled graph and saver over a connection pool, as documented
--mode per-thread  one saver and connection per thread (a saver holds a lock around every query, pool or not)
"""

import argparse
import operator
import threading
from collections.abc import Callable
from typing import Annotated, Any, TypedDict
from uuid import uuid4

import psycopg
from common import first_messages, main, model_client, run_tool
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.graph import END, START, StateGraph
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool


class State(TypedDict):
    """The graph's channels."""

    messages: Annotated[list, operator.add]
    stop: str


def setup(options: argparse.Namespace) -> Callable[[int], str]:
    """Make the tables and return the run function."""
    call = model_client(options)

    def model(state: State) -> dict[str, Any]:
        answer = call(state["messages"])
        message = {"role": "assistant", "content": answer["content"]}
        return {"messages": [message], "stop": answer["stop_reason"]}

    def tools(state: State) -> dict[str, Any]:
        uses = [block for block in state["messages"][-1]["content"] if block["type"] == "tool_use"]
        return {"messages": [{"role": "user", "content": [run_tool(block) for block in uses]}]}

    def made(connection: Any) -> Any:
        graph = StateGraph(State)
        graph.add_node("model", model)
        graph.add_node("tools", tools)
        graph.add_edge(START, "model")
        graph.add_conditional_edges("model", lambda s: "tools" if s["stop"] == "tool_use" else END, ["tools", END])
        graph.add_edge("tools", "model")
        return graph.compile(checkpointer=PostgresSaver(connection))

    how: dict[str, Any] = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
    with psycopg.connect(options.dsn, **how) as connection:
        PostgresSaver(connection).setup()
    local = threading.local()
    shared = None
    if options.mode == "shared":
        size = max(2, options.concurrency)
        shared = made(ConnectionPool(options.dsn, min_size=1, max_size=size, kwargs=how, open=True))

    def run(number: int) -> str:
        graph = shared or getattr(local, "graph", None)
        if graph is None:
            graph = local.graph = made(psycopg.connect(options.dsn, **how))
        config = {"configurable": {"thread_id": str(uuid4())}, "recursion_limit": 50}
        end = graph.invoke({"messages": first_messages()}, durability="sync", config=config)
        return str(end["messages"][-1]["content"][0]["text"])

    return run


main(setup)
