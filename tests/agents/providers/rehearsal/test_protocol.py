"""The wire format of the rehearsal server."""

import json
from typing import Any

import httpx2
import pytest

from tests.agents.providers.rehearsal.requests import HEADERS, body, post, user


def events(url: str, value: dict[str, Any]) -> list[tuple[str, Any]]:
    answer = post(url, {**value, "stream": True})
    assert answer.headers["content-type"].startswith("text/event-stream")
    lines = [block.split("\n") for block in answer.text.strip().split("\n\n")]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in lines]


def test_events_come_in_the_apis_order(rehearsal_url: str) -> None:
    sent = events(rehearsal_url, body(user('{"customer_id": "C-1"}'), system="tools"))

    names = [name for name, _ in sent]
    assert names[:3] == ["message_start", "ping", "content_block_start"]
    assert names[-2:] == ["message_delta", "message_stop"]
    assert all(name == data["type"] for name, data in sent)
    assert [data["index"] for name, data in sent if name == "content_block_start"] == [0, 1, 2, 3, 4, 5]
    assert names.count("content_block_stop") == 6
    start, delta = sent[0][1]["message"], sent[-2][1]
    assert (start["content"], start["stop_reason"]) == ([], None)
    assert start["usage"]["input_tokens"] > 0
    assert delta["delta"]["stop_reason"] == "tool_use"
    assert delta["usage"]["output_tokens"] > 1
    kinds = [data["delta"]["type"] for name, data in sent if name == "content_block_delta" and data["index"] == 0]
    assert kinds[0] == "thinking_delta"
    assert kinds[-1] == "signature_delta"


def test_the_same_request_gets_the_same_answer(rehearsal_url: str) -> None:
    value = body(user('{"customer_id": "C-1"}'), system="tools")

    first, second = post(rehearsal_url, value).json(), post(rehearsal_url, value).json()

    assert first == second
    assert first["id"].startswith("msg_")


def test_models_come_in_pages(rehearsal_url: str) -> None:
    seen: list[str] = []
    query = {"limit": "7"}
    while True:
        page = httpx2.get(f"{rehearsal_url}/v1/models", params=query, headers=HEADERS).json()
        seen += [model["id"] for model in page["data"]]
        assert (page["first_id"], page["last_id"]) == (page["data"][0]["id"], page["data"][-1]["id"])
        if not page["has_more"]:
            break
        query["after_id"] = page["last_id"]

    everything = httpx2.get(f"{rehearsal_url}/v1/models", params={"limit": "1000"}, headers=HEADERS).json()
    assert seen == [model["id"] for model in everything["data"]]
    before = httpx2.get(
        f"{rehearsal_url}/v1/models", params={"before_id": seen[9], "limit": "2"}, headers=HEADERS
    ).json()
    assert [model["id"] for model in before["data"]] == seen[7:9]


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "x"}, {"after_id": "nobody"}])
def test_a_bad_page_is_refused(rehearsal_url: str, query: dict[str, str]) -> None:
    assert httpx2.get(f"{rehearsal_url}/v1/models", params=query, headers=HEADERS).status_code == 400


def test_one_model_is_found_by_its_id(rehearsal_url: str) -> None:
    found = httpx2.get(f"{rehearsal_url}/v1/models/claude-opus-4-7", headers=HEADERS)
    missing = httpx2.get(f"{rehearsal_url}/v1/models/claude-nobody-9", headers=HEADERS)

    assert found.json()["max_tokens"] > 0
    assert missing.status_code == 404


def test_a_small_prompt_is_not_cached(rehearsal_url: str) -> None:
    value = body(cache_control={"type": "ephemeral"})
    post(rehearsal_url, value)

    usage = post(rehearsal_url, value).json()["usage"]

    assert (usage["cache_read_input_tokens"], usage["cache_creation_input_tokens"]) == (0, 0)


def test_a_longer_prompt_reads_its_beginning_from_the_cache(rehearsal_url: str) -> None:
    begun = user("a long beginning " * 1000)
    value = body(begun, cache_control={"type": "ephemeral", "ttl": "1h"})
    first = post(rehearsal_url, value).json()["usage"]
    longer = body(
        begun, {"role": "assistant", "content": "yes"}, user("more " * 500), cache_control={"type": "ephemeral"}
    )

    second = post(rehearsal_url, longer).json()["usage"]
    elsewhere = post(rehearsal_url, value, headers={**HEADERS, "x-api-key": "another"}).json()["usage"]

    assert first["cache_creation"]["ephemeral_1h_input_tokens"] == first["cache_creation_input_tokens"] > 1024
    assert second["cache_read_input_tokens"] == first["cache_creation_input_tokens"]
    assert second["cache_creation_input_tokens"] > 0
    assert elsewhere["cache_read_input_tokens"] == 0
