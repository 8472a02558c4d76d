"""Grants given and taken back on the pages of agents and tools, and the kill switch."""

import re

import pytest
from django.test import Client

from access import grants
from agents.models import Agent, Tool
from console import grants_page
from db.scope import tenant_scope
from tenants.models import Role, User
from tests.console.conftest import email, hashed, peopled, signed_in
from tests.worlds import PAY, VERDICT, World


@pytest.fixture
def desk(database: None) -> World:
    made = peopled()
    made.member("dave", Role.DEVELOPER)
    User.objects.filter(email=f"dave@{made.slug}.example").update(password=hashed())
    made.define("payments", role="Pays", output_schema=VERDICT, tool_specs={"pay": PAY})
    return made


def held(world: World, kind: type[Agent] | type[Tool], name: str) -> list[tuple[str, str | None]]:
    with tenant_scope(world.tenant_id):
        obj = kind.objects.get(**{"slug" if kind is Agent else "name": name})
        return [(each.permission, each.condition) for each in grants.of(obj)]


def text(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, path
    return answer.content.decode()


def test_grant_on_a_tool_is_given_with_a_condition_and_taken_back(desk: World) -> None:
    alice, path = signed_in(desk, "alice"), f"/{desk.slug}/tools/pay/"
    sent = alice.post(f"{path}grants/", {"to": email(desk, "dave"), "condition": "args.amount < 100"})
    assert (sent.status_code, sent["Location"]) == (302, path)
    assert held(desk, Tool, "pay") == [("use", "args.amount < 100")]
    page = text(alice, path)
    assert "args.amount &lt; 100" in page
    [take] = re.findall(rf'action="({path}grants/[0-9a-f-]+/take/)"', page)
    [asks] = re.findall(r'popovertarget="(take-[0-9a-f-]+)" aria-label="Take back: dave', page)
    assert re.search(rf'id="{asks}" popover.*Take this grant back\?', page)
    alice.post(take)
    assert held(desk, Tool, "pay") == []
    assert alice.post(take).status_code == 404


def test_grants_are_shown_a_page_at_a_time(desk: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grants_page, "PAGE", 2)
    alice, path = signed_in(desk, "alice"), f"/{desk.slug}/tools/pay/"
    for name in ("dave", "rita", "bob"):
        alice.post(f"{path}grants/", {"to": email(desk, name)})
    page = text(alice, path)
    assert page.count("Take this grant back?") == 2
    [more] = re.findall(rf'href="({path}\?grants=[0-9a-f-]+)#grants">More', page)
    page = text(alice, more)
    assert page.count("Take this grant back?") == 1
    assert f'href="{path}#grants">First' in page


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"to": "nobody@else.example"}, "nobody@else.example"),
        ({"to": "no-team"}, "no-team"),
        ({"to": ""}, "Write whom"),
        ({"to": "rita", "condition": "args.nothing > 1"}, "nothing"),
    ],
    ids=["nobody", "no team", "empty", "condition"],
)
def test_what_cannot_be_granted_comes_back_with_why(desk: World, given: dict[str, str], said: str) -> None:
    alice = signed_in(desk, "alice")
    to = email(desk, "rita") if given["to"] == "rita" else given["to"]
    refused = alice.post(f"/{desk.slug}/tools/pay/grants/", {**given, "to": to})
    page = refused.content.decode()
    assert refused.status_code == 422
    assert said in page
    assert f'value="{given.get("condition", "")}"'.replace(">", "&gt;") in page
    assert held(desk, Tool, "pay") == []


def test_grant_on_an_agent_opens_what_it_says(desk: World) -> None:
    alice = signed_in(desk, "alice")
    alice.post(f"/{desk.slug}/agents/payments/grants/", {"to": email(desk, "dave"), "permission": "run"})
    assert held(desk, Agent, "payments") == [("run", None)]
    assert "Start a run" in text(signed_in(desk, "dave"), f"/{desk.slug}/agents/payments/")


def test_agent_is_stopped_with_a_reason_and_let_go_on(desk: World) -> None:
    alice, path = signed_in(desk, "alice"), f"/{desk.slug}/agents/payments/"
    run = desk.submit("payments", {"order": "1"})
    assert "<b>1 run</b>" in text(alice, f"{path}stop/")
    refused = alice.post(f"{path}stop/", {"reason": " ", "end": "yes"})
    assert (refused.status_code, desk.agent("payments").stopped_at) == (422, None)
    alice.post(f"{path}stop/", {"reason": "It pays <b>everybody</b>.", "end": "yes"})
    assert desk.actions(run.id)[-1] == "run.cancel_requested"
    page = text(alice, path)
    assert "It pays &lt;b&gt;everybody&lt;/b&gt;." in page
    assert "/agents/payments/run/" not in page
    assert "It pays" not in text(signed_in(desk, "bob"), path)  # a viewer sees that, not why
    refused = alice.post(f"{path}run/", {"input": "{}"})
    assert refused.status_code == 422
    assert "stopped" in refused.content.decode()
    alice.post(f"{path}go-on/")
    assert desk.agent("payments").stopped_at is None


def test_runs_are_ended_together_only_of_a_stopped_agent_and_after_asking_back(desk: World) -> None:
    alice, path = signed_in(desk, "alice"), f"/{desk.slug}/agents/payments/"
    run = desk.submit("payments", {"order": "1"})
    alice.post(f"{path}end-runs/")
    assert "run.cancel_requested" not in desk.actions(run.id)
    assert "The agent is not stopped" in text(alice, path)
    alice.post(f"{path}stop/", {"reason": "It pays everybody."})
    assert "End the run that is under way?" in text(alice, path)
    alice.post(f"{path}end-runs/")
    assert desk.actions(run.id)[-1] == "run.cancel_requested"


def test_palette_leads_to_stopping_for_who_may(desk: World) -> None:
    words = f"/{desk.slug}/find/?q=stop+pay"
    alice = signed_in(desk, "alice")
    assert f"/{desk.slug}/agents/payments/stop/" in text(alice, words)
    assert "/stop/" not in text(signed_in(desk, "bob"), words)
    alice.post(f"/{desk.slug}/agents/payments/stop/", {"reason": "It pays."})
    assert "/stop/" not in text(alice, words)


def test_who_stops_an_agent_that_is_stopped_is_told_by_whom_and_why(desk: World) -> None:
    alice, path = signed_in(desk, "alice"), f"/{desk.slug}/agents/payments/stop/"
    alice.post(path, {"reason": "It pays everybody."})
    again = alice.post(path, {"reason": "It is too slow.", "end": "yes"})
    assert again.status_code == 409
    page = again.content.decode()
    for said in ("stopped already", email(desk, "alice"), "It pays everybody.", "It is too slow."):
        assert said in page, said
    assert 'name="reason"' not in text(alice, path)


@pytest.mark.parametrize("name", ["bob", "rita", "dave"])
def test_who_may_not_grant_or_stop_is_offered_neither_and_refused(desk: World, name: str) -> None:
    client = signed_in(desk, name)
    for path in (f"/{desk.slug}/tools/pay/", f"/{desk.slug}/agents/payments/"):
        page = text(client, path)
        assert "Grant it" not in page
        assert "/stop/" not in page
        assert client.post(f"{path}grants/", {"to": email(desk, name), "permission": "run"}).status_code == 403
    assert client.get(f"/{desk.slug}/agents/payments/stop/").status_code == 403
    assert client.post(f"/{desk.slug}/agents/payments/go-on/").status_code == 403
    assert client.post(f"/{desk.slug}/agents/payments/end-runs/").status_code == 403
    assert desk.agent("payments").stopped_at is None


def test_another_tenants_agents_and_tools_do_not_exist(desk: World, globex: World) -> None:
    carol = signed_in(globex, "alice")
    for path in ("agents/payments/stop/", "agents/payments/grants/", "tools/pay/grants/"):
        assert carol.post(f"/{desk.slug}/{path}", {"reason": "x"}).status_code == 404
        assert carol.post(f"/{globex.slug}/{path}", {"reason": "x", "to": "x"}).status_code == 404
