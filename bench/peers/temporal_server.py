"""Temporal: a workflow and activities against temporal-test-server.

The test server keeps everything in memory and never syncs a disk: this is an upper bound for the SDK, not a durable
peer. Its CPU is the row's server CPU.
"""

import asyncio
import shutil
import socket
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():
    from common import (
        WARM_UP,
        Result,
        agent_loop_async,
        async_model_client,
        drive_async,
        options_parser,
        process_cpu_seconds,
        run_tool,
    )

LIMIT = timedelta(seconds=30)
options = options_parser().parse_args() if __name__ == "__main__" else None
clients: dict[str, Any] = {}


@activity.defn
async def model(messages: list) -> dict:
    """Call the model."""
    return await clients["model"](messages)


@activity.defn
async def tool(block: dict) -> dict:
    """Execute a tool call."""
    return run_tool(block)


@workflow.defn
class Agent:
    """One run."""

    @workflow.run
    async def run(self, number: int) -> str:
        """Do all of it."""

        async def call_model(messages: Any) -> Any:
            return await workflow.execute_activity(model, messages, start_to_close_timeout=LIMIT)

        async def call_tool(block: Any) -> Any:
            return await workflow.execute_activity(tool, block, start_to_close_timeout=LIMIT)

        return await agent_loop_async(call_model, call_tool)


def start_server() -> tuple[subprocess.Popen, int]:
    """Start the test server on a free port and wait until it accepts connections."""
    binary = shutil.which("temporal-test-server", path=str(Path(sys.executable).parent))
    if binary is None:
        raise SystemExit("temporal-test-server is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen([binary, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(300):
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return server, port
        time.sleep(0.1)
    raise SystemExit("the Temporal test server did not start")


async def go() -> None:
    """Warm up, measure, print."""
    assert options is not None
    clients["model"] = async_model_client(options)
    server, port = start_server()
    try:
        client = await Client.connect(f"127.0.0.1:{port}")
        async with Worker(client, task_queue="bench", workflows=[Agent], activities=[model, tool]):

            async def run(number: int) -> str:
                return await client.execute_workflow(Agent.run, number, id=str(uuid4()), task_queue="bench")

            await drive_async(run, WARM_UP * options.concurrency, options.concurrency)
            with Result(lambda: process_cpu_seconds(server.pid)) as result:
                took = await drive_async(run, options.runs, options.concurrency)
            result.emit(options.runs, took)
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    asyncio.run(go())
