"""One run's page and its parts."""

import re

import pytest

from agents.core.events import RunFailed
from agents.models import Run
from console import run_page
from db.scope import tenant_scope
from escalations.models import Queue
from tests.console import journals
from tests.console.conftest import signed_in
from tests.worlds import World

HTMX = {"HX-Request": "true"}


@pytest.fixture
def asked(acme: World) -> tuple[World, str]:
    """A run that waits for a person, and its address."""
    run = acme.submit("refund-desk", {"order": "88213"})
    journals.refund(acme, run.id)
    return acme, f"/{acme.slug}/runs/{run.id}/"


def steps(page: str) -> list[int]:
    return [int(number) for number in re.findall(r'<li id="s-(\d+)"', page)]


def test_page_tells_the_run_step_by_step(asked: tuple[World, str]) -> None:
    world, address = asked
    page = signed_in(world, "alice").get(address).content.decode()
    for said in ("get_order", "get_customer_backup is tried instead", "Output sent back", "A tool call to approve"):
        assert said in page
    assert steps(page) == sorted(steps(page))


def test_link_to_a_step_opens_it(asked: tuple[World, str]) -> None:
    world, address = asked
    page = signed_in(world, "alice").get(f"{address}?step=6").content.decode()
    assert 'class="detail card is-chosen"' in page
    assert "toolu_1_0" in page


def test_number_of_any_event_of_a_step_opens_it(asked: tuple[World, str]) -> None:
    world, address = asked
    page = signed_in(world, "alice").get(f"{address}steps/5/").content.decode()
    assert "I look up the order and the customer first." in page
    assert "gen_ai.usage.input_tokens" in page


def test_step_that_is_not_there_is_a_404(asked: tuple[World, str]) -> None:
    world, address = asked
    alice = signed_in(world, "alice")
    assert alice.get(f"{address}steps/900/").status_code == 404
    assert alice.get(f"{address}events/900/").status_code == 404
    assert alice.get(f"{address}?step=900").status_code == 200


def test_event_is_given_as_json_in_the_apis_shape(asked: tuple[World, str]) -> None:
    world, address = asked
    alice, bob = signed_in(world, "alice"), signed_in(world, "bob")
    told = alice.get(f"{address}events/6/").json()
    assert (told["seq"], told["type"], told["data"]["arguments"]) == (6, "tool.requested", {"order_id": "88213"})
    assert bob.get(f"{address}events/6/").json()["data"]["arguments"] is None


def test_event_inside_the_page_is_a_part_of_it(asked: tuple[World, str]) -> None:
    world, address = asked
    part = signed_in(world, "alice").get(f"{address}events/6/", headers=HTMX).content.decode()
    assert part.startswith('<div class="event-json code" id="json-6"')


def test_reviewer_is_told_how_to_decide_and_the_requester_why_not(asked: tuple[World, str]) -> None:
    world, address = asked
    with tenant_scope(world.tenant_id):
        queue, _ = Queue.objects.get_or_create(slug="finance")
        queue.members.create(user_id=world.rita.user_id)
    rita, alice = signed_in(world, "rita").get(address), signed_in(world, "alice").get(address)
    assert "/decide" in rita.content.decode()
    assert journals.DIGEST in rita.content.decode()
    assert "/decide" not in alice.content.decode()
    assert "You may not decide what was asked for by you" in alice.content.decode()


def test_question_leaves_the_page_once_it_is_decided(acme: World) -> None:
    run = acme.submit("refund-desk", {"order": "88213"})
    escalation = journals.refund(acme, run.id)
    journals.decide(acme, run.id, escalation, by=acme.rita.user_id)
    page = signed_in(acme, "alice").get(f"/{acme.slug}/runs/{run.id}/").content.decode()
    assert f"ask-{escalation}" not in page
    assert f"by rita@{acme.slug}.example" in page


def test_output_is_shown_to_those_who_may_see_it(acme: World) -> None:
    run = acme.submit("refund-desk", {"order": "88213"})
    journals.begin(acme, run.id)
    journals.complete(acme, run.id, {"decision": "cracked-lamp"})
    address = f"/{acme.slug}/runs/{run.id}/"
    assert "cracked-lamp" in signed_in(acme, "alice").get(address).content.decode()
    viewer = signed_in(acme, "bob").get(address).content.decode()
    assert "cracked-lamp" not in viewer
    assert "Your role sees that the run ended, not with what." in viewer


def test_failure_says_what_to_do(acme: World) -> None:
    run = acme.submit("refund-desk", {"order": "88213"})
    journals.begin(acme, run.id)
    error = RunFailed(code="model_refused", detail="The model refused.", suggestion="Word the task differently.")
    last = journals.append(acme, run.id, error)
    with tenant_scope(acme.tenant_id):
        Run.objects.filter(id=run.id).update(status="failed", error_code="model_refused", output_seq=last)
    page = signed_in(acme, "alice").get(f"/{acme.slug}/runs/{run.id}/").content.decode()
    assert "Model refused" in page
    assert "Word the task differently." in page


def test_what_agents_say_is_escaped(acme: World) -> None:
    run = acme.submit("refund-desk", {"order": "<script>alert(1)</script>"})
    journals.begin(acme, run.id)
    evil = "</code></pre><script>alert(2)</script>"
    journals.append(acme, run.id, journals.ask_model(1), journals.model_answers(1, [{"type": "text", "text": evil}]))
    alice = signed_in(acme, "alice")
    for page in ("", "?step=3", "steps/3/", "steps/1/"):
        assert "<script>alert" not in alice.get(f"/{acme.slug}/runs/{run.id}/{page}").content.decode()


def test_long_run_is_shown_a_part_at_a_time_without_gap_or_repetition(acme: World) -> None:
    run = acme.submit("refund-desk", {"order": "88213"})
    journals.begin(acme, run.id)
    for turn in range(1, 1 + 3 * run_page.SPAN // 2):
        journals.append(acme, run.id, journals.ask_model(turn), journals.model_answers(turn, []))
    alice, base = signed_in(acme, "alice"), f"/{acme.slug}/runs/{run.id}/"
    latest = alice.get(base).content.decode()
    assert 0 < len(steps(latest)) <= run_page.SPAN
    seen, page = steps(latest), latest
    while found := re.search(r'href="[^"]*\?upto=(\d+)"', page):
        page = alice.get(f"{base}?upto={found.group(1)}", headers=HTMX).content.decode()
        assert "<html" not in page
        seen = [*steps(page), *seen]
    assert seen == sorted(set(seen))
    assert [number for number in seen if number > 2] == list(range(3, acme.run(run.id).seq, 2))


def test_link_to_an_early_step_of_a_long_run_shows_its_part(acme: World) -> None:
    run = acme.submit("refund-desk", {"order": "88213"})
    journals.begin(acme, run.id)
    for turn in range(1, 1 + run_page.SPAN):
        journals.append(acme, run.id, journals.ask_model(turn), journals.model_answers(turn, []))
    page = signed_in(acme, "alice").get(f"/{acme.slug}/runs/{run.id}/?step=31").content.decode()
    assert 31 in steps(page)
    assert "Show the latest" in page
    assert "data-live" not in page
