"""The page one arrives at says what to do next, to each role what it can do."""

import re

from django.test import Client

from agents.models import Run
from db.scope import tenant_scope
from escalations.models import Escalation
from tenants.models import Role
from tests.console.conftest import peopled, signed_in
from tests.console.inboxes import desk
from tests.console.test_tools import as_role
from tests.worlds import VERDICT, World


def steps(client: Client, world: World) -> list[str]:
    """Return what the page tells this member to do, in its order."""
    answer = client.get(f"/{world.slug}/")
    assert answer.status_code == 200
    return re.findall(r'class="start-step">.*?<b dir="auto">(.*?)</b>', answer.content.decode(), re.DOTALL)


def test_reviewer_is_led_to_the_question_that_waits(database: None) -> None:
    at = desk(1)
    page = signed_in(at.world, "rita").get(f"/{at.world.slug}/").content.decode()
    assert steps(signed_in(at.world, "rita"), at.world)[0] == "Decide: pay"
    assert f'href="{at.path()}"' in page
    assert f'href="/{at.world.slug}/runs/{at.escalation().run_id}/"' in page


def test_operator_of_an_empty_tenant_is_told_what_to_make(acme: World) -> None:
    assert steps(signed_in(acme, "alice"), acme) == [
        "Start a run of refund-desk",
        "Look at what refund-desk is told",
        "Set a budget",
    ]
    page = signed_in(acme, "alice").get(f"/{acme.slug}/").content.decode()
    assert "No run yet." in page
    assert "No question waits." in page


def test_each_role_is_told_only_what_it_can_open(database: None) -> None:
    at = desk(1)
    for role in Role:
        client = as_role(at.world, role)
        page = client.get(f"/{at.world.slug}/").content.decode()
        assert steps(client, at.world), role
        for address in set(re.findall(rf'href="(/{at.world.slug}/[^"]*)"', page)):
            assert client.get(address, follow=True).status_code == 200, (role, address)


def test_a_run_is_offered_of_what_the_reader_may_run_alone(acme: World) -> None:
    dev = as_role(acme, Role.DEVELOPER)
    run = f"/{acme.slug}/agents/refund-desk/run/"
    assert not [step for step in steps(dev, acme) if step.startswith("Start a run of")]
    assert dev.get(run).status_code == 403
    assert dev.post(run, {"input": "{}"}).status_code == 403
    assert "Start a run of refund-desk" in steps(signed_in(acme, "alice"), acme)


def test_refresh_is_empty_until_something_changes(acme: World) -> None:
    alice, part = signed_in(acme, "alice"), {"HX-Request": "true"}
    shown = re.search(r'"shown": "(\w+)"', alice.get(f"/{acme.slug}/").content.decode())
    assert shown
    assert alice.get(f"/{acme.slug}/", {"shown": shown[1]}, headers=part).status_code == 204
    acme.submit("refund-desk", {"order": "1"})
    changed = alice.get(f"/{acme.slug}/", {"shown": shown[1]}, headers=part)
    assert "Watch refund-desk at work" in changed.content.decode()
    assert "<html" not in changed.content.decode()


def test_other_tenants_work_is_not_shown(database: None) -> None:
    at, elsewhere = desk(1), peopled()
    page = signed_in(elsewhere, "alice").get(f"/{elsewhere.slug}/").content.decode()
    assert "payments" not in page
    with tenant_scope(at.world.tenant_id):
        assert str(Run.objects.get().id) not in page
        assert str(Escalation.objects.get().id) not in page


def test_names_are_text_whatever_their_direction(acme: World) -> None:
    acme.define("a" * 63, role="مراجعة الطلبات <b>", output_schema=VERDICT)
    page = signed_in(acme, "alice").get(f"/{acme.slug}/").content.decode()
    assert "a" * 63 in page
    assert "<b>مراجعة" not in page
