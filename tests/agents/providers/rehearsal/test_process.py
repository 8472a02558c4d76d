"""The rehearsal server as a process: starting, refusing, many at once, statistics."""

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2

from agents.providers.claude import ClaudeProvider
from tests.agents.providers.conversations import ask
from tests.agents.providers.rehearsal.requests import HEADERS, body, post
from tests.agents.providers.servers import rehearsal

ROOT = Path(__file__).parents[4]
SCRIPTS = Path(__file__).parents[1] / "scripts"


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "agents.providers.rehearsal", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT, check=False)


def test_a_malformed_script_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("script: a\n")

    ended = run("--port", "0", "--scripts", str(tmp_path))

    assert ended.returncode == 2
    assert ended.stdout == ""
    assert f"{tmp_path / 'bad.yaml'}:1: " in ended.stderr


def test_a_used_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run("--port", str(port))

    assert ended.returncode == 2
    assert f"Cannot listen on 127.0.0.1:{port}" in ended.stderr


def test_without_scripts_it_says_that_none_matches() -> None:
    with rehearsal() as url:
        answer = post(url, body())

    assert answer.status_code == 400
    assert "Scripts: none." in answer.json()["error"]["message"]


def test_a_key_can_be_demanded() -> None:
    with rehearsal(SCRIPTS, arguments=["--api-key", "right"]) as url:
        wrong = post(url, body())
        right = post(url, body(), headers={**HEADERS, "x-api-key": "right"})

    assert wrong.json()["error"]["message"] == "invalid x-api-key"
    assert right.status_code == 200


def test_it_needs_neither_django_nor_the_sdk() -> None:
    code = (
        "import sys, agents.providers.rehearsal.__main__\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'django', 'anthropic', 'pydantic'}))"
    )

    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)

    assert ended.stdout.strip() == "[]"


def test_it_counts_what_it_did() -> None:
    with rehearsal(SCRIPTS) as url:
        post(url, body())
        post(url, body(system="fault:overloaded"))
        post(url, body(temperature=1))
        stats = httpx2.get(f"{url}/rehearsal/stats").json()

    assert stats["calls"] == 3
    assert stats["scripts"]["always"] == 1
    assert stats["scripts"]["fault-overloaded"] == 1
    assert stats["faults"] == {"overloaded": 1}
    assert stats["rejected"] == {"overloaded_error": 1, "invalid_request_error": 1}
    assert "temperature" in stats["last_rejection"]


def test_hundreds_wait_at_once_and_each_gets_its_own_answer() -> None:
    wanted = [f"slow {number}" for number in range(300)]
    with rehearsal(SCRIPTS) as url, ThreadPoolExecutor(300) as pool:
        provider = ClaudeProvider("key", url)

        def answer(number: int) -> str:
            # Every other one streams.
            speaking = ClaudeProvider("key", url, stream_from=1) if number % 2 else provider
            content: Sequence[dict[str, str]] = speaking.answer(
                ask(f'{{"n": {number}}}', system="slow"), timeout_s=60
            ).content
            return content[0]["text"]

        answers = list(pool.map(answer, range(300)))
        stats = httpx2.get(f"{url}/rehearsal/stats").json()

    assert answers == wanted
    # They wait four seconds: nobody was made to queue behind the others.
    assert stats["most_open"] == 300
    assert stats["open"] == 0


def test_it_ends_promptly_although_somebody_waits() -> None:
    command = [sys.executable, "-m", "agents.providers.rehearsal", "--port", "0", "--scripts", str(SCRIPTS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        url = process.stdout.readline().split()[1]
        waiting = threading.Thread(target=_ignore_errors, args=(url,))
        waiting.start()
        while httpx2.get(f"{url}/rehearsal/stats").json()["open"] == 0:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        process.wait(30)
        waiting.join()
        errors = process.stderr.read()

    assert errors == ""


def _ignore_errors(url: str) -> None:
    try:
        post(url, body(system="fault:stall"))
    except httpx2.HTTPError:
        return
