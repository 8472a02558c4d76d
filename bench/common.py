"""What every peer shares: the task, the model clients, the measuring. Standard library and the SDK only.

A peer script calls `main(setup)`. `setup(options)` returns a run function - `run(i)` or `async run(i)` - that performs
one whole agent run and returns its final text. `main` warms up, times the runs in a closed loop with `--concurrency` of
them in flight, and prints one JSON line.
"""

import argparse
import asyncio
import inspect
import json
import os
import resource
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

from fake_model import FINAL, MODEL, reply

Json = Any

PROMPT = "Look up the five keys k0 to k4 and say when you are done."
STEPS_PER_RUN = 11  # 6 model calls + 5 tool executions
WARM_UP = 5  # runs before the timed window, times the concurrency: connections opened, statements prepared
INPUT_SCHEMA: Json = {"type": "object", "properties": {"key": {"type": "string"}}, "required": ["key"]}
TOOLS: Json = [{"name": "lookup", "description": "Look a key up.", "input_schema": INPUT_SCHEMA}]


def lookup(key: str) -> str:
    """The tool of the common work."""
    return f"value of {key}: " + "x" * 100


def run_tool(block: Json) -> Json:
    """Execute one tool_use block."""
    return {"type": "tool_result", "tool_use_id": block["id"], "content": lookup(**block["input"])}


def first_messages() -> list[Json]:
    """The conversation's start."""
    return [{"role": "user", "content": PROMPT}]


# --- the agent loop, on plain dicts, sync and async -----------------------------------------------------------------


def agent_loop(call_model: Callable[[Json], Json], call_tool: Callable[[Json], Json]) -> str:
    """One whole run; returns the final text."""
    messages = first_messages()
    while True:
        answer = call_model(messages)
        messages.append({"role": "assistant", "content": answer["content"]})
        if answer["stop_reason"] != "tool_use":
            return str(answer["content"][0]["text"])
        uses = [block for block in answer["content"] if block["type"] == "tool_use"]
        messages.append({"role": "user", "content": [call_tool(block) for block in uses]})


async def agent_loop_async(
    call_model: Callable[[Json], Awaitable[Json]], call_tool: Callable[[Json], Awaitable[Json]]
) -> str:
    """The same for asyncio."""
    messages = first_messages()
    while True:
        answer = await call_model(messages)
        messages.append({"role": "assistant", "content": answer["content"]})
        if answer["stop_reason"] != "tool_use":
            return str(answer["content"][0]["text"])
        uses = [block for block in answer["content"] if block["type"] == "tool_use"]
        messages.append({"role": "user", "content": [await call_tool(block) for block in uses]})


# --- model clients --------------------------------------------------------------------------------------------------


def request(messages: list[Json]) -> dict[str, Json]:
    """The SDK's arguments for one call."""
    return {"model": MODEL, "max_tokens": 256, "tools": TOOLS, "messages": messages}


def model_client(options: argparse.Namespace) -> Callable[[Json], Json]:
    """A function messages -> reply dict, of the kind `--client` names."""
    if options.client == "none":  # no HTTP at all: isolates the engine's own cost
        return lambda messages: reply((len(messages) - 1) // 2)
    import anthropic

    client = anthropic.Anthropic(base_url=options.model_url, api_key="bench", max_retries=0)
    return lambda messages: client.messages.create(**request(messages)).model_dump(mode="json", exclude_none=True)


def async_model_client(options: argparse.Namespace) -> Callable[[Json], Awaitable[Json]]:
    """The same for asyncio."""
    if options.client == "none":

        async def answer(messages: Json) -> Json:
            return reply((len(messages) - 1) // 2)

        return answer
    import anthropic

    client = anthropic.AsyncAnthropic(base_url=options.model_url, api_key="bench", max_retries=0)

    async def call(messages: Json) -> Json:
        message = await client.messages.create(**request(messages))
        return message.model_dump(mode="json", exclude_none=True)

    return call


# --- measuring ------------------------------------------------------------------------------------------------------


def percentile(values: list[float], q: float) -> float:
    """The value below which the share `q` of the values lies; 0 of none."""
    values = sorted(values)
    return values[min(len(values) - 1, int(q * len(values)))] if values else 0.0


def cpu_seconds() -> float:
    """CPU seconds of this process."""
    mine = resource.getrusage(resource.RUSAGE_SELF)
    return mine.ru_utime + mine.ru_stime


def process_cpu_seconds(pid: int) -> float:
    """CPU seconds of another process and its reaped children (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def peak_rss_mib() -> float:
    """The most memory this process ever held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def drive_threads(run: Callable[[int], str], runs: int, concurrency: int) -> list[float]:
    """Perform the runs, `concurrency` at a time; returns the seconds each took."""

    def one(number: int) -> float:
        begun = time.perf_counter()
        assert run(number) == FINAL
        return time.perf_counter() - begun

    with ThreadPoolExecutor(concurrency) as pool:
        return list(pool.map(one, range(runs)))


async def drive_async(run: Callable[[int], Awaitable[str]], runs: int, concurrency: int) -> list[float]:
    """The same for asyncio."""
    took: list[float] = []
    numbers = iter(range(runs))

    async def worker() -> None:
        for number in numbers:
            begun = time.perf_counter()
            assert await run(number) == FINAL
            took.append(time.perf_counter() - begun)

    await asyncio.gather(*(worker() for _ in range(concurrency)))
    return took


def options_parser() -> argparse.ArgumentParser:
    """What every peer understands."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--concurrency", type=int, default=1)
    parser.add_argument("--model-url", default="")
    parser.add_argument("--dsn", default="")
    parser.add_argument("--client", choices=["sdk", "none"], default="sdk")
    parser.add_argument("--warmup", type=int, default=0, help="0: five times the concurrency")
    parser.add_argument("--mode", default="", help="the peer's own variants, where it has any")
    return parser


class Result(dict[str, Json]):
    """Times a window: `with Result() as result`, then `emit`."""

    def __init__(self, extra_cpu: Callable[[], float] = lambda: 0.0) -> None:
        super().__init__()
        self._extra_cpu = extra_cpu

    def __enter__(self) -> Self:
        self._before = self._extra_cpu(), cpu_seconds(), time.perf_counter()
        return self

    def __exit__(self, *error: object) -> None:
        server, cpu, wall = self._before
        self.update(wall=time.perf_counter() - wall, cpu=cpu_seconds() - cpu, server_cpu=self._extra_cpu() - server)

    def emit(self, runs: int, took: list[float], **more: Json) -> None:
        """Print the JSON line."""
        each = max(1, runs)
        self.update(
            runs=runs,
            runs_per_s=runs / self["wall"],
            p50_ms=1000 * percentile(took, 0.5),
            p95_ms=1000 * percentile(took, 0.95),
            longest_ms=1000 * percentile(took, 1.0),
            cpu_ms_per_run=1000 * self["cpu"] / each,
            server_cpu_ms_per_run=1000 * self["server_cpu"] / each,
            rss_mib=peak_rss_mib(),
            **more,
        )
        print(json.dumps(self), flush=True)


def main(setup: Callable[[argparse.Namespace], Callable[[int], Any]]) -> None:
    """Run one peer as its command line says."""
    options = options_parser().parse_args()
    warmup = options.warmup or WARM_UP * options.concurrency
    run = setup(options)
    if inspect.iscoroutinefunction(run):

        async def go() -> None:
            await drive_async(run, warmup, options.concurrency)
            with Result() as result:
                took = await drive_async(run, options.runs, options.concurrency)
            result.emit(options.runs, took)

        asyncio.run(go())
        return
    drive_threads(run, warmup, options.concurrency)
    with Result() as result:
        took = drive_threads(run, options.runs, options.concurrency)
    result.emit(options.runs, took)
