"""How threads share connections."""

import threading

import pytest

from agents.providers.claude import ClaudeProvider
from tests.agents.providers.conversations import ask
from tests.agents.providers.servers import Recorder

ANSWER = b'{"type":"message","model":"x","content":[],"stop_reason":"end_turn","usage":{"output_tokens":1}}'


def test_a_thread_keeps_its_connection(supplier: Recorder) -> None:
    supplier.body = ANSWER
    provider = ClaudeProvider("key", supplier.url)

    def call_thrice() -> None:
        for _ in range(3):
            provider.answer(ask("x"), timeout_s=10)

    call_thrice()
    threads = [threading.Thread(target=call_thrice) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(supplier.paths) == 15
    assert len(supplier.connections) <= 5


def test_a_proxy_of_the_environment_is_used(supplier: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    supplier.body = ANSWER
    monkeypatch.setenv("http_proxy", supplier.url)

    ClaudeProvider("key", "http://provider.example").answer(ask("x"), timeout_s=10)

    assert supplier.paths == ["http://provider.example/v1/messages"]
