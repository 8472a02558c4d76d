"""500 clients that follow runs by server-sent events, beside 5: how late each event arrives, and what the web costs.

Lateness: from the time in the event, the journal's, to the arrival of its last byte in a client. Every client must get
every event of its run, once and in order.
"""

import argparse
import asyncio
import json
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import installation
import processes
from common import percentile, process_cpu_seconds
from measuring import fake_model

WATCHERS = (5, 500)
RUNS = 5  # that are followed, by as many watchers each
DELAY_MS = 300
TOOL_TURNS = 15


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--dsn", required=True)
    options = parser.parse_args()
    found: dict[str, Any] = {"runs": RUNS}
    arguments = ("--delay-ms", str(DELAY_MS), "--tool-turns", str(TOOL_TURNS))
    with tempfile.TemporaryDirectory() as data_dir, fake_model(*arguments) as model_url:
        base = installation.environment(options.dsn, data_dir, ANTHROPIC_API_KEY="bench", ANTHROPIC_BASE_URL=model_url)
        installation.boot(options.dsn, data_dir)
        world = installation.world("watchers")
        log = Path(data_dir) / "log"
        with processes.web(base, log) as api, processes.command(base, log, "qcluster", "--workers", "1"):
            api.key = world.key
            for watchers in WATCHERS:
                found |= {f"{name}_{watchers}": value for name, value in watched(api, watchers).items()}
    print(json.dumps(found))


def watched(api: processes.Api, watchers: int) -> dict[str, float]:
    """Follow runs from their submission to their end."""
    cpu, begun = process_cpu_seconds(api.pid), time.perf_counter()
    runs = [api.submit({"watched": number}) for number in range(RUNS)]
    api.hang_up()
    streams = asyncio.run(follow_all(api, [runs[number % RUNS] for number in range(watchers)]))
    late = [seconds for stream in streams for seconds in stream]
    return {
        "events": len(late),
        "late_p50_ms": 1000 * percentile(late, 0.5),
        "late_p95_ms": 1000 * percentile(late, 0.95),
        "late_max_ms": 1000 * max(late),
        "web_cpu_share": (process_cpu_seconds(api.pid) - cpu) / (time.perf_counter() - begun),
        "web_pss_mb": processes.pss_mb(api.pid),
    }


async def follow_all(api: processes.Api, runs: list[str]) -> list[list[float]]:
    """One client for each run named; returns how late its events were, in seconds."""
    return await asyncio.gather(*(follow(api, run) for run in runs))


async def follow(api: processes.Api, run: str) -> list[float]:
    """Read a run's stream to its end."""
    parts = urlsplit(api.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    head = f"GET /api/v1/runs/{run}/stream HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {api.key}\r\n\r\n"
    writer.write(head.encode())
    late: list[float] = []
    try:
        while (line := await reader.readline()).strip() != b"event: end":
            assert line, "the stream broke off"
            if line.startswith(b"data: "):
                event = json.loads(line.removeprefix(b"data: "))
                assert event["seq"] == len(late) + 1, "an event is missing or came twice"
                late.append(time.time() - datetime.fromisoformat(event["at"]).timestamp())
    finally:
        writer.close()
    return late


if __name__ == "__main__":
    main()
