"""Grants as the engine checks them: at each call, at each repetition, for everyone a run acts for."""

import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from access import grants
from agents.actions import grants as tool_grants
from agents.actions.runs import Request, submit
from agents.core.decide import CallModel, Perform
from agents.core.holdings import Holdings
from agents.engine import claims
from agents.engine.executor import LOOKS, Means
from agents.engine.store import Step
from agents.errors import RunEnded, UnknownRun
from agents.models import Run, Tool
from db.scope import tenant_scope
from escalations.actions.decisions import Answer, decide
from escalations.errors import OwnRequest
from escalations.models import Escalation
from tenants.actions import members
from tenants.models import Membership, Role, User
from tenants.principal import COMMAND, Principal
from tests.agents.engine.serving import serving
from tests.agents.engine.test_leases import claim_and_begin, expire, means
from tests.worlds import LEDGER, LOOKUP, PAY, World, world

__all__ = ["means"]

Json = Any
Settles = Callable[[World, UUID], Run]

TWICE = "You look up twice."


def tool_of(acme: World, name: str) -> Tool:
    with tenant_scope(acme.tenant_id):
        return Tool.objects.select_related("live").get(name=name)


def give(acme: World, name: str, to: Principal, condition: str | None = None) -> UUID:
    """Let a member use a tool, where the condition holds."""
    with tenant_scope(acme.tenant_id):
        user = User.objects.get(id=to.user_id)
        tool = Tool.objects.select_related("live").get(name=name)
        return tool_grants.give(tool, "use", user, condition=condition, acting_as=acme.alice).id


def revoke(acme: World, name: str) -> None:
    """Take every grant of the tool back."""
    with tenant_scope(acme.tenant_id):
        tool = Tool.objects.get(name=name)
        for grant in grants.of(tool):
            grants.remove(tool, grant.id, acting_as=acme.alice)


def developer(acme: World, name: str, *runs: str) -> Principal:
    """A member who may start these agents and holds nothing else."""
    made = acme.member(name, Role.DEVELOPER)
    for agent in runs:
        acme.grant("run", acme.agent(agent), made)
    return made


def remove(acme: World, who: Principal) -> None:
    with tenant_scope(acme.tenant_id):
        members.remove(Membership.objects.get(user_id=who.user_id), acting_as=COMMAND)


def denied(acme: World, run: Run) -> list[tuple[str, str]]:
    """Return (tool, code) of the calls that were not made."""
    found = [stored for stored in acme.events(run.id) if stored.action == "tool.denied"]
    return [(stored.facts["tool"], stored.facts["code"]) for stored in found]


def looked_up(acme: World) -> tuple[int, int]:
    """Return how often a and b were looked up."""
    return LEDGER.effects[f"lookup a {acme.slug}"], LEDGER.effects[f"lookup b {acme.slug}"]


def look_up(acme: World, as_whom: Principal, **more: Any) -> Run:
    """Start a run that looks up a, then b."""
    request = Request("looker", {"a": f"a {acme.slug}", "b": f"b {acme.slug}"})
    return submit(request, acting_as=as_whom, **more).run


@pytest.fixture
def looker(acme: World) -> World:
    acme.define("looker", role=TWICE, tool_specs={"lookup": LOOKUP})
    return acme


def test_a_condition_is_asked_at_each_call(looker: World, model_url: str, settles: Settles) -> None:
    dan = developer(looker, "dan", "looker")
    condition = f'args.key == "a {looker.slug}" && principal.email == "dan@{looker.slug}.example"'
    give(looker, "lookup", dan, condition)
    run = look_up(looker, dan)
    with serving(model_url):
        assert settles(looker, run.id).status == "completed"
    assert looked_up(looker) == (1, 0)
    assert denied(looker, run) == [("lookup", "not_granted")]
    told = [stored.payload["error"] for stored in looker.events(run.id) if stored.action == "tool.denied"]
    assert told == ["The person this run acts for may not use lookup with these arguments."]


def test_what_is_needed_may_come_from_any_grant_of_theirs(looker: World, model_url: str, settles: Settles) -> None:
    from tenants.actions import teams

    dan = developer(looker, "dan", "looker")
    give(looker, "lookup", dan, f'args.key == "a {looker.slug}"')
    with tenant_scope(looker.tenant_id):
        emails = [f"dan@{looker.slug}.example"]
        desk = teams.put(tenant_id=looker.tenant_id, slug="desk", emails=emails, acting_as=COMMAND)
        tool, condition = tool_of(looker, "lookup"), 'args.key.startsWith("b") && "desk" in principal.teams'
        tool_grants.give(tool, "use", desk, condition=condition, acting_as=looker.alice)
    run = look_up(looker, dan)
    with serving(model_url):
        assert settles(looker, run.id).status == "completed"
    assert looked_up(looker) == (1, 1)


def test_a_grant_revoked_between_look_up_and_step_is_seen(
    looker: World, means: Means, monkeypatch: pytest.MonkeyPatch
) -> None:
    dan = developer(looker, "dan", "looker")
    first = give(looker, "lookup", dan, "true")
    executor = claim_and_begin(means, look_up(looker, dan))
    real, seen = Step.holdings, []

    def looked_up_then_changed(step: Step, tools: Any, **more: Any) -> Holdings:
        held = real(step, tools, **more)
        seen.append(held)
        if len(seen) == 1:
            _elsewhere(lambda: give(looker, "lookup", dan, "args.key == 'nothing'"))
        return held

    monkeypatch.setattr(Step, "holdings", looked_up_then_changed)
    command = executor._commit([executor._call_model(CallModel(1))])
    assert isinstance(command, CallModel)
    assert [each.conditions for each in seen[0].held.values()] == [{str(first): "true"}]
    assert len(seen) == 2
    assert looker.actions(executor.run.id)[-2:] == ["tool.denied", "model.requested"]


def test_a_principal_changed_between_look_up_and_step_is_seen(
    looker: World, means: Means, monkeypatch: pytest.MonkeyPatch
) -> None:
    dan = developer(looker, "dan", "looker")
    give(looker, "lookup", dan, 'principal.role == "developer"')
    executor = claim_and_begin(means, look_up(looker, dan))
    real, seen = Step.holdings, []

    def looked_up_then_demoted(step: Step, tools: Any, **more: Any) -> Holdings:
        held = real(step, tools, **more)
        seen.append(held)
        if len(seen) == 1:
            _elsewhere(lambda: looker.member("dan", Role.VIEWER))
        return held

    monkeypatch.setattr(Step, "holdings", looked_up_then_demoted)
    executor._commit([executor._call_model(CallModel(1))])
    assert len(seen) == 2
    assert looker.actions(executor.run.id)[-2:] == ["tool.denied", "model.requested"]


def test_what_changes_at_each_look_is_denied_in_the_end(
    looker: World, means: Means, monkeypatch: pytest.MonkeyPatch
) -> None:
    dan = developer(looker, "dan", "looker")
    give(looker, "lookup", dan, "true")
    executor = claim_and_begin(means, look_up(looker, dan))
    real, seen = Step.holdings, []

    def looked_up_then_changed(step: Step, tools: Any, **more: Any) -> Holdings:
        held = real(step, tools, **more)
        seen.append(held)
        _elsewhere(lambda: give(looker, "lookup", dan, f"true || args.key == '{len(seen)}'"))
        return held

    monkeypatch.setattr(Step, "holdings", looked_up_then_changed)
    command = executor._commit([executor._call_model(CallModel(1))])

    assert isinstance(command, CallModel)
    assert len(seen) == LOOKS
    assert denied(looker, looker.run(executor.run.id)) == [("lookup", "not_granted")]


def _elsewhere(do: Callable[[], object]) -> None:
    """Do it in another thread, with a connection and a transaction of its own."""
    from threading import Thread

    def doing() -> None:
        do()
        connection.close()

    thread = Thread(target=doing)
    thread.start()
    thread.join()


def test_an_approval_does_not_stand_in_for_a_grant(acme: World, model_url: str, settles: Settles) -> None:
    acme.define("payer", role="You pay.", tool_specs={"pay": PAY})
    dan = developer(acme, "dan", "payer")
    give(acme, "pay", dan, "args.amount < 1000")
    run = submit(Request("payer", {"to": acme.slug}), acting_as=dan).run
    with serving(model_url):
        assert settles(acme, run.id).waiting_for == "decision"
        revoke(acme, "pay")
        with tenant_scope(acme.tenant_id):
            escalation = Escalation.objects.get(run_id=run.id)
        decide(escalation.id, Answer("approve", escalation.digest), acting_as=acme.alice)
        while settles(acme, run.id).status != "completed":
            time.sleep(0.02)
    assert LEDGER.effects[f"pay 500 to {acme.slug}"] == 0
    assert denied(acme, run) == [("pay", "not_granted")]


def test_a_read_lost_in_mid_air_is_not_repeated_without_its_grant(
    looker: World, means: Means, model_url: str, settles: Settles
) -> None:
    dan = developer(looker, "dan", "looker")
    give(looker, "lookup", dan)
    run = look_up(looker, dan)
    dying = claim_and_begin(means, run)
    assert isinstance(dying._commit([dying._call_model(CallModel(1))]), Perform)
    revoke(looker, "lookup")
    expire(looker, run)
    with serving(model_url):
        assert settles(looker, run.id).status == "completed"
    assert looked_up(looker) == (0, 0)
    assert denied(looker, run) == [("lookup", "not_granted")] * 2


def test_a_write_lost_in_mid_air_asks_a_person_when_it_may_not_be_repeated(
    acme: World, means: Means, model_url: str, settles: Settles
) -> None:
    acme.define("payer", role="You pay.", tool_specs={"pay": {**PAY, "effect": "write", "idempotent": True}})
    dan = developer(acme, "dan", "payer")
    give(acme, "pay", dan, "args.amount < 1000")
    run = submit(Request("payer", {"to": acme.slug}), acting_as=dan).run
    dying = claim_and_begin(means, run)
    assert isinstance(dying._commit([dying._call_model(CallModel(1))]), Perform)
    revoke(acme, "pay")
    expire(acme, run)
    with serving(model_url):
        assert settles(acme, run.id).waiting_for == "decision"
    assert LEDGER.effects[f"pay 500 to {acme.slug}"] == 0
    with tenant_scope(acme.tenant_id):
        assert Escalation.objects.get(run_id=run.id).kind == "reconcile"


@pytest.mark.parametrize("how", ["removed", "deactivated", "account closed"])
def test_a_run_ends_when_its_principal_goes(looker: World, model_url: str, settles: Settles, how: str) -> None:
    dan = developer(looker, "dan", "looker")
    give(looker, "lookup", dan)
    run = look_up(looker, dan)
    with serving(model_url):
        while "tool.finished" not in looker.actions(run.id):
            time.sleep(0.005)
        if how == "removed":
            remove(looker, dan)
        elif how == "deactivated":
            with tenant_scope(looker.tenant_id):
                members.deactivate(Membership.objects.get(user_id=dan.user_id), acting_as=COMMAND)
        else:
            User.objects.filter(id=dan.user_id).update(is_active=False)
        ended = settles(looker, run.id)
    assert (ended.status, ended.error_code) == ("failed", "principal_gone")
    assert looked_up(looker) == (1, 0)
    assert denied(looker, run) == [("lookup", "principal_gone")]
    assert looker.actions(run.id)[-2:] == ["budget.settled", "run.failed"]


def test_a_run_on_behalf_of_a_member_holds_the_members_grants(looker: World, model_url: str, settles: Settles) -> None:
    dan = developer(looker, "dan")
    give(looker, "lookup", dan, f'args.key == "b {looker.slug}"')
    run = looker.submit(
        "looker",
        {"a": f"a {looker.slug}", "b": f"b {looker.slug}"},
        on_behalf_of=f"dan@{looker.slug}.example",
    )
    with serving(model_url):
        assert settles(looker, run.id).status == "completed"
    assert (run.principal_id, run.requested_by_id) == (dan.user_id, looker.alice.user_id)
    assert looked_up(looker) == (0, 1)


# --- runs within runs ---------------------------------------------------------------------------------------------


def outer(acme: World, as_whom: Principal, **more: Any) -> Run:
    """Start a run that nobody drives."""
    return submit(Request("looker", {"a": "x", "b": "x"}, **more), acting_as=as_whom).run


def settled_child(acme: World, parent: Run, by: Principal, model_url: str, settles: Settles) -> Run:
    child = look_up(acme, by, parent=parent.id)
    with tenant_scope(acme.tenant_id):
        Run.objects.filter(id=parent.id).update(ready_at=None)
    with serving(model_url):
        return settles(acme, child.id)


def test_a_child_is_within_what_its_parents_hold(looker: World, model_url: str, settles: Settles) -> None:
    dan, eve, fay = (developer(looker, name, "looker") for name in ("dan", "eve", "fay"))
    give(looker, "lookup", dan, 'args.key.startsWith("a") || args.key.startsWith("b")')
    give(looker, "lookup", eve, f'principal.email.startsWith("eve") && args.key == "b {looker.slug}"')
    give(looker, "lookup", fay)
    parent = outer(looker, eve)
    between = submit(Request("looker", {"a": "x", "b": "x"}), acting_as=fay, parent=parent.id).run
    with tenant_scope(looker.tenant_id):
        Run.objects.filter(id=parent.id).update(ready_at=None)

    child = settled_child(looker, between, dan, model_url, settles)

    assert child.status == "completed"
    assert looked_up(looker) == (0, 1)
    assert denied(looker, child) == [("lookup", "not_granted")]
    assert (parent.parent_id, between.parent_id, child.parent_id) == (None, parent.id, between.id)
    assert looker.events(child.id)[0].facts["parent"] == str(between.id)
    assert "parent" not in looker.events(parent.id)[0].facts


def test_a_child_without_conditions_takes_the_quick_way_for_all(
    looker: World, means: Means, monkeypatch: pytest.MonkeyPatch
) -> None:
    dan, eve = developer(looker, "dan", "looker"), developer(looker, "eve", "looker")
    give(looker, "lookup", dan)
    give(looker, "lookup", eve)
    parent = outer(looker, eve)
    with tenant_scope(looker.tenant_id):
        Run.objects.filter(id=parent.id).update(ready_at=None)
    executor = claim_and_begin(means, look_up(looker, dan, parent=parent.id))
    assert executor.run.principals == (dan.user_id, eve.user_id)
    monkeypatch.delattr(Step, "holdings")
    answered = executor._call_model(CallModel(1))
    assert isinstance(executor._commit([answered]), Perform)

    monkeypatch.undo()
    revoked = claim_and_begin(means, look_up(looker, dan, parent=parent.id))
    with tenant_scope(looker.tenant_id):
        tool = Tool.objects.get(name="lookup")
        [hers] = [grant for grant in grants.of(tool) if grant.holder.id == eve.user_id]
        grants.remove(tool, hers.id, acting_as=looker.alice)
    assert isinstance(revoked._commit([revoked._call_model(CallModel(1))]), CallModel)
    assert looker.actions(revoked.run.id)[-2:] == ["tool.denied", "model.requested"]


def test_a_child_ends_when_whom_its_parent_acts_for_goes(looker: World, model_url: str, settles: Settles) -> None:
    dan, eve = developer(looker, "dan", "looker"), developer(looker, "eve", "looker")
    give(looker, "lookup", dan)
    give(looker, "lookup", eve)
    parent = outer(looker, eve)
    child = look_up(looker, dan, parent=parent.id)
    remove(looker, eve)
    with tenant_scope(looker.tenant_id):
        Run.objects.filter(id=parent.id).update(ready_at=None)
    with serving(model_url):
        assert settles(looker, child.id).error_code == "principal_gone"
    assert looked_up(looker) == (0, 0)


def test_a_child_starts_only_where_all_up_the_line_may_start_it(looker: World) -> None:
    from access.errors import MissingGrant

    dan, eve = developer(looker, "dan", "looker"), developer(looker, "eve")
    parent = looker.submit("looker", {"a": "x", "b": "x"}, on_behalf_of=f"eve@{looker.slug}.example")

    with pytest.raises(MissingGrant):
        look_up(looker, dan, parent=parent.id)
    looker.grant("run", looker.agent("looker"), eve)
    assert look_up(looker, dan, parent=parent.id).parent_id == parent.id


def test_a_child_needs_a_parent_of_its_tenant_that_goes_on(looker: World, model_url: str, settles: Settles) -> None:
    elsewhere = world()
    elsewhere.define("looker", role=TWICE, tool_specs={"lookup": LOOKUP})
    strange = outer(elsewhere, elsewhere.alice)
    with pytest.raises(UnknownRun):
        look_up(looker, looker.alice, parent=strange.id)
    run = look_up(looker, looker.alice)
    with serving(model_url):
        assert settles(looker, run.id).status == "completed"
    with pytest.raises(RunEnded):
        look_up(looker, looker.alice, parent=run.id)


def test_nobody_up_the_line_decides_on_a_child(acme: World, model_url: str, settles: Settles) -> None:
    acme.define("payer", role="You pay.", tool_specs={"pay": PAY})
    dan = developer(acme, "dan", "payer")
    eve, fay = acme.member("eve", Role.OPERATOR), acme.member("fay", Role.OPERATOR)
    parent = submit(Request("payer", {"to": "x"}, on_behalf_of=f"fay@{acme.slug}.example"), acting_as=eve).run
    give(acme, "pay", dan)
    child = submit(Request("payer", {"to": acme.slug}), acting_as=dan, parent=parent.id).run
    with serving(model_url):
        assert settles(acme, child.id).waiting_for == "decision"
    with tenant_scope(acme.tenant_id):
        escalation = Escalation.objects.get(run_id=child.id)
    for who in (eve, fay):
        with pytest.raises(OwnRequest):
            decide(escalation.id, Answer("approve", escalation.digest), acting_as=who)
    assert decide(escalation.id, Answer("approve", escalation.digest), acting_as=acme.alice).status == "decided"


def test_the_line_is_looked_up_for_children_alone(looker: World, means: Means, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(claims, "_line")
    executor = claim_and_begin(means, look_up(looker, looker.alice))
    assert executor.run.principals == (looker.alice.user_id,)
