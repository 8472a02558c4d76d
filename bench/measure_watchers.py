"""500 clients that follow runs by server-sent events, beside 5: what joining costs, and how late each event arrives.

Joining: clients ask, each on a connection of its own, until they have the first event; all at once, and 8 at a time.
Beside it, as many that read the run itself, and what is answered without a question to anybody: these are its limits.

Following: the runs begin when everybody has joined. Lateness is from the time in the event, the journal's, to the
arrival of its last byte in a client. Every client must get every event of its run, once and in order.
"""

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Iterator
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
QUIET_S = 3.0  # in which everybody has joined and nothing happens
HEAD = b"\r\n\r\n"
FIRST_EVENT = b"id: 1\n"  # of a run that no worker has taken up it is the only one

STREAM = "/api/v1/runs/{run}/stream"
FEW = 8

#: Kinds of joining: the path, the mark that ends it, and how many do it at a time (0: all).
JOINS = {
    "health": ("/healthz", HEAD, 0),
    "run": ("/api/v1/runs/{run}", HEAD, 0),
    "few": (STREAM, FIRST_EVENT, FEW),
    "all": (STREAM, FIRST_EVENT, 0),  # the last: they stay
}


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
        with processes.web(base, log) as api:
            api.key = world.key
            for watchers in WATCHERS:
                measured = asyncio.run(watched(api, watchers, worker=(base, log)))
                found |= {f"{name}_{watchers}": value for name, value in measured.items()}
    print(json.dumps(found))


async def watched(api: processes.Api, watchers: int, worker: tuple[dict[str, str], Path]) -> dict[str, float]:
    """Join runs that nobody works on yet, then let a worker do them, and follow them to their end."""
    runs = [api.submit({"watched": number}) for number in range(RUNS)]
    api.hang_up()
    found: dict[str, float] = {}
    clients: list[Client] = []
    for name, (path, mark, at_once) in JOINS.items():
        for client in clients:
            client.hang_up()
        await asyncio.sleep(QUIET_S)
        paths = [path.format(run=runs[number % RUNS]) for number in range(watchers)]
        clients, joining = await join(api, paths, mark, at_once or watchers)
        found |= {f"{name}_{key}": value for key, value in joining.items()}

    cpu = process_cpu_seconds(api.pid)
    await asyncio.sleep(QUIET_S)
    quiet = (process_cpu_seconds(api.pid) - cpu) / QUIET_S
    cpu = process_cpu_seconds(api.pid)
    with processes.command(*worker, "qcluster", "--workers", "1"):
        await asyncio.gather(*(client.over for client in clients))
    cpu = process_cpu_seconds(api.pid) - cpu
    late = [seconds for client in clients for seconds in client.lateness()]
    return found | {
        "events": len(late),
        "late_p50_ms": 1000 * percentile(late, 0.5),
        "late_p95_ms": 1000 * percentile(late, 0.95),
        "late_max_ms": 1000 * max(late),
        "event_cpu_us": 1e6 * cpu / len(late),
        "quiet_cpu_share": quiet,
        "web_pss_mb": processes.pss_mb(api.pid),
    }


async def join(
    api: processes.Api, paths: list[str], mark: bytes, at_once: int
) -> tuple[list["Client"], dict[str, float]]:
    """Ask for all paths, until each answer has come as far as `mark`; return the clients, and what it took of each."""
    host, _, port = urlsplit(api.url).netloc.partition(":")
    loop, places = asyncio.get_running_loop(), asyncio.Semaphore(at_once)

    async def one(path: str) -> tuple[Client, float]:
        client = Client(api.key, path, mark)
        async with places:
            begun = time.perf_counter()
            await loop.create_connection(lambda: client, host, int(port))
            return client, await client.joined - begun

    cpu, begun = process_cpu_seconds(api.pid), time.perf_counter()
    joined = await asyncio.gather(*(one(path) for path in paths))
    lasted, cpu = time.perf_counter() - begun, process_cpu_seconds(api.pid) - cpu
    clients, took = [client for client, _ in joined], [seconds for _, seconds in joined]
    return clients, {
        "p50_ms": 1000 * percentile(took, 0.5),
        "max_ms": 1000 * max(took),
        "per_s": len(took) / lasted,
        "cpu_ms": 1000 * cpu / len(took),
    }


class Client(asyncio.Protocol):
    """One connection with one request. What comes is read when all is over, so that reading makes nothing late.

    joined: when `mark` had come (`perf_counter`); over: when the server has closed the connection.
    """

    def __init__(self, key: str, path: str, mark: bytes) -> None:
        loop = asyncio.get_running_loop()
        self.joined: asyncio.Future[float] = loop.create_future()
        self.over: asyncio.Future[None] = loop.create_future()
        self._mark = mark
        self._head = (
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\nConnection: close\r\n\r\n"
        )
        self._came: list[tuple[float, bytes]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._head.encode())

    def data_received(self, data: bytes) -> None:
        """Keep what came."""
        self._came.append((time.time(), data))
        if not self.joined.done() and self._mark in (so_far := b"".join(piece for _, piece in self._came)):
            if so_far.startswith(b"HTTP/1.1 200"):
                self.joined.set_result(time.perf_counter())
            else:
                self.joined.set_exception(ConnectionError(f"refused: {so_far!r}"))

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        self.over.set_result(None)
        if not self.joined.done():
            self.joined.set_exception(ConnectionError("the connection broke off"))

    def hang_up(self) -> None:
        """Close the connection."""
        self._transport.close()

    def lateness(self) -> list[float]:
        """Return how late each event was that happened after joining, in seconds."""
        lines = list(self._lines())
        assert any(line == b"event: end" for _, line in lines), "the stream broke off"
        told = [(at, json.loads(line.removeprefix(b"data: "))) for at, line in lines if line.startswith(b"data: ")]
        events = told[:-1]  # the last one says how the run ended
        numbers = [event["seq"] for _, event in events]
        assert numbers == list(range(1, len(events) + 1)), "an event is missing or came twice"
        return [at - datetime.fromisoformat(event["at"]).timestamp() for at, event in events[1:]]

    def _lines(self) -> Iterator[tuple[float, bytes]]:
        rest = b""
        for at, data in self._came:
            *whole, rest = (rest + data).split(b"\n")
            yield from ((at, line) for line in whole)


if __name__ == "__main__":
    main()
