"""What happens is told outside: once at least, signed so that stock software believes it, for a day if need be."""

import json
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import transaction
from django.utils import timezone
from standardwebhooks import Webhook, WebhookVerificationError

from access.errors import MissingScope
from agents.actions import budgets
from agents.actions.runs import cancel
from agents.engine import soft_limits
from agents.models import Run
from agents.presenters import runs_json, with_names
from audit.models import Record
from db.scope import tenant_scope
from egress import installed
from escalations.actions.decisions import decide
from quotas.models import Budget, Window
from tenants.principal import COMMAND, Principal
from tests.api.conftest import caller
from tests.escalations.asking import approve, paying, queue
from tests.escalations.conftest import answers, drive
from tests.webhooks.conftest import talked
from tests.webhooks.receiver import Receiver
from tests.worlds import World, world
from vault.actions import secrets
from webhooks import sending, signing
from webhooks.actions import endpoints
from webhooks.errors import TooManyWebhooks, WebhookPaused
from webhooks.models import Delivery, Endpoint

Json = Any


def hook(olga: Principal, receiver: Receiver, *events: str) -> tuple[Endpoint, str]:
    return endpoints.add("crm", receiver.url, events, acting_as=olga)


def send_all(acme: World) -> list[Delivery]:
    """Send what is pending, whenever it is due; returns the log, oldest first."""
    for delivery in log(acme):
        if delivery.next_at is not None:
            with tenant_scope(acme.tenant_id):
                Delivery.objects.filter(id=delivery.id).update(attempts=delivery.attempts + 1)
            sending.send(acme.tenant_id, delivery.id)
    return log(acme)


def log(acme: World) -> list[Delivery]:
    with tenant_scope(acme.tenant_id):
        return list(Delivery.objects.order_by("created_at", "id"))


def test_a_stock_verifier_believes_what_is_sent_of_a_run_that_ended(
    acme: World, olga: Principal, receiver: Receiver
) -> None:
    _, secret = hook(olga, receiver, "run.completed")
    run = talked(acme)

    [sent] = send_all(acme)

    [(headers, body)] = receiver.came
    told = Webhook(secret).verify(body, headers)
    assert told == json.loads(body)
    assert (told["type"], told["data"]["id"], told["data"]["output"]) == ("run.completed", str(run.id), "done")
    assert headers["webhook-id"] == f"msg_{sent.id}"
    assert (sent.status, sent.answered, sent.next_at) == ("delivered", 204, None)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body.replace(b"done", b"gone"), headers)


def test_only_what_was_asked_for_is_sent_and_to_nobody_elses_tenant(
    acme: World, olga: Principal, receiver: Receiver
) -> None:
    hook(olga, receiver, "run.failed", "escalation.requested", "escalation.decided")
    talked(acme)
    other = world()
    other.define("talker", role="You talk.")
    talked(other)
    queue(acme, "credit", "rita")
    question = paying(acme, "lender", queue="credit")
    decide(question.id, approve(question), acting_as=acme.rita)

    send_all(acme)

    told = [json.loads(body) for _, body in receiver.came]
    assert [each["type"] for each in told] == ["escalation.requested", "escalation.decided"]
    assert {each["data"]["id"] for each in told} == {str(question.id)}
    assert not any("assignee" in each["data"] for each in told)
    assert b"lender" not in b"".join(body for _, body in receiver.came)  # who reads on signs in


def test_a_spent_soft_limit_is_told_with_what_was_spent(acme: World, olga: Principal, receiver: Receiver) -> None:
    hook(olga, receiver, "budget.soft_limit_reached")
    with tenant_scope(acme.tenant_id):
        budgets.put("all", {"of": {"tenant": True}, "window": "month", "usd": "1.00", "soft": 0.5}, acting_as=olga)
        window = Window.objects.create(budget=Budget.objects.get(), starts_on=date.today(), spent_usd_nano=6 * 10**8)
    soft_limits.tell(acme.tenant_id)
    soft_limits.tell(acme.tenant_id)

    [sent] = send_all(acme)

    assert (sent.run_id, sent.window_id) == (None, window.id)
    [(_, body)] = receiver.came
    data = json.loads(body)["data"]
    assert (data["budget"], data["usd"], data["soft"]) == ("all", "1.00", 0.5)
    assert data["spent"] == {"usd": "0.6000", "tokens": 0}


def test_a_soft_limit_of_a_budget_that_is_gone_is_told_no_more(
    acme: World, olga: Principal, receiver: Receiver
) -> None:
    hook(olga, receiver)
    with tenant_scope(acme.tenant_id):
        budgets.put("all", {"of": {"tenant": True}, "window": "day", "usd": "1.00", "soft": 0.5}, acting_as=olga)
        window = Window.objects.create(budget=Budget.objects.get(), starts_on=date.today(), spent_usd_nano=6 * 10**8)
    soft_limits.tell(acme.tenant_id)
    with tenant_scope(acme.tenant_id):
        window.delete()

    [sent] = send_all(acme)

    assert receiver.came == []
    assert sent.error == "The budget that this tells of was deleted meanwhile."


def test_what_is_undone_was_never_told(acme: World, olga: Principal, receiver: Receiver) -> None:
    hook(olga, receiver)
    run = acme.submit("talker", {})
    with tenant_scope(acme.tenant_id):
        Run.objects.filter(id=run.id).update(status="failed", ended_at=timezone.now())
        transaction.set_rollback(True)
    assert log(acme) == []


def test_it_is_tried_again_under_the_same_id_until_somebody_takes_it(
    acme: World, olga: Principal, receiver: Receiver
) -> None:
    hook(olga, receiver, "run.completed")
    receiver.answers = [500, 302]
    talked(acme)

    [failed] = send_all(acme)
    assert (failed.status, failed.answered) == ("pending", 500)
    assert failed.next_at is not None
    send_all(acme)
    [delivered] = send_all(acme)

    assert (delivered.status, delivered.attempts) == ("delivered", 3)
    assert len({headers["webhook-id"] for headers, _ in receiver.came}) == 1


def test_after_a_day_it_has_failed_and_can_be_sent_again(acme: World, olga: Principal, receiver: Receiver) -> None:
    endpoint, _ = hook(olga, receiver, "run.completed")
    receiver.answers = [500]
    talked(acme)
    with tenant_scope(acme.tenant_id):
        Delivery.objects.update(created_at=timezone.now() - timedelta(days=1))
    [failed] = send_all(acme)
    assert (failed.status, failed.next_at) == ("failed", None)

    endpoints.replay(endpoint.id, failed.id, acting_as=olga)

    [delivered] = send_all(acme)
    assert delivered.status == "delivered"
    assert [headers["webhook-id"] for headers, _ in receiver.came] == [f"msg_{failed.id}"] * 2


def test_one_that_is_gone_is_told_nothing_more(acme: World, olga: Principal, receiver: Receiver) -> None:
    endpoint, _ = hook(olga, receiver, "run.completed")
    receiver.answers = [410]
    talked(acme)
    [gone] = send_all(acme)
    talked(acme)
    with tenant_scope(acme.tenant_id):
        assert not Endpoint.objects.get(id=endpoint.id).is_active
        record = Record.objects.filter(stream=endpoint.id).order_by("at", "id").last()
    assert gone.status == "failed"
    assert len(log(acme)) == 1
    assert record is not None
    assert (record.action, record.actor, record.facts["active"]) == ("webhook.changed", "system:webhooks", False)


def test_a_paused_webhook_is_sent_nothing_not_even_what_was_pending(
    acme: World, olga: Principal, receiver: Receiver
) -> None:
    endpoint, _ = hook(olga, receiver, "run.completed")
    talked(acme)
    endpoints.change(endpoint.id, {"active": False}, acting_as=olga)

    [kept] = send_all(acme)

    assert receiver.came == []
    assert (kept.status, kept.next_at) == ("failed", None)
    assert kept.error == "The webhook is paused; make it active and send this again."
    with pytest.raises(WebhookPaused, match="paused"):
        endpoints.replay(endpoint.id, kept.id, acting_as=olga)
    endpoints.change(endpoint.id, {"active": True}, acting_as=olga)
    endpoints.replay(endpoint.id, kept.id, acting_as=olga)
    assert [each.status for each in send_all(acme)] == ["delivered"]


def test_a_message_that_can_never_be_made_is_given_up_after_a_day(
    acme: World, olga: Principal, receiver: Receiver
) -> None:
    hook(olga, receiver, "run.completed")
    talked(acme)
    with tenant_scope(acme.tenant_id):
        Delivery.objects.update(run_id=UUID(int=0))  # of no run

    [broken] = send_all(acme)
    assert (broken.status, broken.error) == ("pending", "The message could not be made; the workers' log says why.")

    with tenant_scope(acme.tenant_id):
        Delivery.objects.update(created_at=timezone.now() - timedelta(days=1))
    [ended] = send_all(acme)
    assert (ended.status, ended.next_at, receiver.came) == ("failed", None, [])


def test_what_was_tried_for_a_day_is_not_made_again(acme: World, olga: Principal, receiver: Receiver) -> None:
    hook(olga, receiver, "run.completed")
    talked(acme)
    with tenant_scope(acme.tenant_id):  # as a process leaves it that dies each time
        Delivery.objects.update(created_at=timezone.now() - timedelta(days=1), attempts=9)

    [ended] = send_all(acme)

    assert (ended.status, ended.error, receiver.came) == ("failed", "It could not be sent for a day.", [])


def test_two_secrets_sign_while_one_replaces_the_other(acme: World, olga: Principal, receiver: Receiver) -> None:
    endpoint, former = hook(olga, receiver, "run.completed")
    _, newest = endpoints.rotate(endpoint.id, 3600, acting_as=olga)
    talked(acme)
    send_all(acme)
    [(headers, body)] = receiver.came
    for secret in (former, newest):
        assert Webhook(secret).verify(body, headers)

    with tenant_scope(acme.tenant_id):
        Endpoint.objects.update(former_until=timezone.now())
    talked(acme)
    send_all(acme)
    with pytest.raises(WebhookVerificationError):
        Webhook(former).verify(receiver.came[-1][1], receiver.came[-1][0])


def test_a_document_signs_with_a_secret_of_the_tenant(acme: World, receiver: Receiver) -> None:
    secret = signing.written(b"k" * 32)
    with tenant_scope(acme.tenant_id):
        secrets.put("hooks", secret, acting_as=COMMAND)
        endpoints.put("crm", {"url": receiver.url, "secret": "secret:hooks"}, acting_as=COMMAND)
    talked(acme)
    send_all(acme)
    [(headers, body)] = receiver.came
    assert Webhook(secret).verify(body, headers)


def test_a_private_place_is_not_called_unless_the_installation_says_so(
    acme: World, olga: Principal, receiver: Receiver, settings: Any
) -> None:
    hook(olga, receiver, "run.completed")
    settings.EGRESS_ALLOW = ()
    installed.client.cache_clear()
    talked(acme)
    [refused] = send_all(acme)
    assert refused.status == "pending"
    assert "not public" in (refused.error or "")
    assert receiver.came == []


def test_a_chat_tool_gets_a_line_and_a_link_and_nothing_of_what_it_is_about(
    acme: World, olga: Principal, receiver: Receiver
) -> None:
    owner = caller(acme, olga, "webhooks:write", "runs:read", "escalations:read")
    made = owner.post("webhooks", {"name": "chat", "url": receiver.url, "form": "chat"}).json
    assert made["form"] == "chat"
    queue(acme, "credit", "rita", due_s=3600)
    question = paying(acme, "lender", queue="credit")
    run = talked(acme)
    decide(question.id, approve(question), acting_as=acme.rita)
    send_all(acme)

    for headers, body in receiver.came:
        Webhook(made["secret"]).verify(body, headers)
    said = [json.loads(body) for _, body in receiver.came]
    assert {tuple(each) for each in said} == {("text",)}
    first, third, second = (each["text"] for each in said)
    assert first.startswith("People are asked: tool call, lender, queue credit, priority ")
    assert f"/{acme.slug}/inbox/{question.id}/" in first
    assert second.startswith("Decided: tool call, lender")
    assert third.startswith("A run has completed (talker).")
    assert f"/{acme.slug}/runs/{run.id}/" in third
    assert "done" not in third
    assert owner.put(f"webhooks/{made['id']}", {"form": "standard"}).json["form"] == "standard"


def test_webhooks_have_private_places_of_their_own(
    acme: World, olga: Principal, receiver: Receiver, settings: Any
) -> None:
    hook(olga, receiver, "run.completed")
    settings.WEBHOOKS_ALLOW = ("crm.internal:443",)
    talked(acme)
    [refused] = send_all(acme)
    assert f"WEBHOOKS_ALLOW={receiver.place}" in (refused.error or "")
    assert receiver.came == []

    settings.WEBHOOKS_ALLOW, settings.EGRESS_ALLOW = (receiver.place,), ()
    installed.client.cache_clear()
    [sent] = send_all(acme)
    assert sent.status == "delivered"


def test_a_tenant_says_whom_its_webhooks_and_callbacks_may_tell(
    acme: World, olga: Principal, receiver: Receiver
) -> None:
    hook(olga, receiver, "run.completed")
    owner = caller(acme, olga, "admin", "webhooks:write", "runs:read", "runs:write", "escalations:read")
    settled = {"undo_s": 0, "webhook_hosts": ["CRM.example"]}
    answer = owner.put("settings", settled, If_Match="*")
    assert (answer.status, answer.json["webhook_hosts"]) == (200, ["crm.example"])
    assert owner.put("settings", {**settled, "webhook_hosts": ["no host"]}, If_Match="*").status == 422

    talked(acme)
    [refused] = send_all(acme)
    assert "webhook_hosts" in (refused.error or "")
    assert receiver.came == []
    assert owner.post("webhooks", {"name": "erp", "url": receiver.url}).code == "host_not_allowed"
    started = owner.post("runs", {"agent": "talker", "input": {}, "callback_url": receiver.url})
    assert [fault["pointer"] for fault in started.json["errors"]] == ["/callback_url"]


def test_whoever_started_a_run_is_called_back_with_a_way_to_go_on(
    acme: World, receiver: Receiver, olga: Principal
) -> None:
    run = acme.submit("talker", {}, callback_url=receiver.url)
    cancel(run.id, acting_as=acme.alice)
    drive(run, answers())
    with tenant_scope(acme.tenant_id):
        Run.objects.filter(id=run.id).update(status="failed")
    send_all(acme)

    [(headers, body)] = receiver.came
    from webhooks import secrets_of

    told = Webhook(signing.written(secrets_of.of_callback(UUID(str(run.id))))).verify(body, headers)
    assert told["data"]["recovery"]["suggestion"]
    assert told["data"]["recovery"]["retry"].endswith(f"/api/v1/runs/{run.id}/retry")


def test_who_gets_a_run_that_has_ended_already_is_called_back_too(acme: World, receiver: Receiver) -> None:
    acme.define("sparing", role="You talk.", limits={"dedupe_s": 600})
    wanted: Json = {"callback_url": receiver.url, "deduplicate": True}
    run = acme.submit("sparing", {}, **wanted)
    assert acme.submit("sparing", {}, **wanted).id == run.id
    drive(run, answers(("end_turn", [{"type": "text", "text": "done"}])))
    send_all(acme)
    assert len(receiver.came) == 1

    assert acme.submit("sparing", {}, **wanted).id == run.id
    [_, again] = send_all(acme)

    [(_, first), (headers, body)] = receiver.came
    assert json.loads(body)["data"] == json.loads(first)["data"]
    assert (headers["webhook-id"], again.status) == (f"msg_{again.id}", "delivered")
    assert acme.submit("sparing", {}, deduplicate=True).id != run.id


def test_the_chore_takes_what_is_due_and_leaves_the_rest(acme: World, olga: Principal, receiver: Receiver) -> None:
    hook(olga, receiver, "run.completed")
    talked(acme)
    senders = sending.Senders()

    for _ in range(100):  # other tests' tenants have their turn, too
        senders.send_due()
        if receiver.arrived.wait(0.3):
            break
    senders.close()
    [sent] = log(acme)
    assert (sent.status, sent.attempts) == ("delivered", 1)
    senders.send_due()
    assert len(receiver.came) == 1


def test_one_tenants_slow_webhook_does_not_hold_up_the_others(acme: World, olga: Principal) -> None:
    other = world()
    for each, rows in ((acme, 9), (other, 1)):
        with tenant_scope(each.tenant_id):
            due = timezone.now() - timedelta(hours=1 if each is acme else 0)
            times = {"created_at": timezone.now(), "next_at": due}
            for _ in range(rows):
                Delivery.objects.create(type="run.completed", run_id=uuid4(), url="https://crm.example/", **times)

    taken = [tenant for tenant, _ in sending._take(100, {})]
    assert (taken.count(acme.tenant_id), taken.count(other.tenant_id)) == (2, 1)

    for sending_now, more in ((2, 0), (1, 1)):
        taken = [tenant for tenant, _ in sending._take(100, {acme.tenant_id: sending_now})]
        assert taken.count(acme.tenant_id) == more


def test_a_tenant_has_so_many_webhooks_and_no_more(acme: World, olga: Principal) -> None:
    with tenant_scope(acme.tenant_id):
        Endpoint.objects.bulk_create(Endpoint(name=f"crm-{n}", url="https://crm.example/") for n in range(50))
        secrets.put("hooks", signing.written(b"k" * 32), acting_as=COMMAND)
    with pytest.raises(TooManyWebhooks, match="50 webhooks at most"):
        endpoints.add("one-more", "https://crm.example/", [], acting_as=olga)
    with tenant_scope(acme.tenant_id):
        with pytest.raises(TooManyWebhooks):
            endpoints.put("one-more", {"url": "https://crm.example/", "secret": "secret:hooks"}, acting_as=COMMAND)
        Endpoint.objects.create(name="same", url="https://crm.example/", secret_name="hooks")
        same = {"url": "https://crm.example/2", "secret": "secret:hooks"}
        assert endpoints.put("same", same, acting_as=COMMAND).url == same["url"]


@pytest.mark.parametrize(
    ("events", "lacking"),
    [(["run.completed"], "runs:read"), (["escalation.decided"], "escalations:read"), ([], "escalations:read")],
)
def test_a_key_has_nobody_told_what_it_may_not_read(
    acme: World, olga: Principal, events: list[str], lacking: str
) -> None:
    key = replace(olga, scopes=frozenset({"webhooks:write"}))
    made, _ = endpoints.add("mine", "https://crm.example/", ["budget.soft_limit_reached"], acting_as=key)
    document = {"url": "https://crm.example/", "events": events, "secret": "secret:hooks"}
    for asked in (
        partial(endpoints.add, "crm", "https://crm.example/", events),
        partial(endpoints.change, made.id, {"events": events}),
        partial(endpoints.put, "crm", document),
    ):
        with pytest.raises(MissingScope, match=lacking):
            asked(acting_as=key)

    reading = replace(olga, scopes=key.scopes | {"runs:read", "escalations:read"} if key.scopes else None)
    other, _ = endpoints.add("crm", "https://crm.example/", events, acting_as=reading)
    with pytest.raises(MissingScope, match=lacking):
        endpoints.change(other.id, {"url": "https://mine.example/"}, acting_as=key)
    assert not endpoints.change(other.id, {"active": False}, acting_as=key).is_active


def test_of_a_run_that_a_run_started_nobody_is_told(acme: World, olga: Principal, receiver: Receiver) -> None:
    hook(olga, receiver)
    above, below = acme.submit("talker", {}), acme.submit("talker", {})
    with tenant_scope(acme.tenant_id):
        Run.objects.filter(id=below.id).update(parent_id=above.id)
        for each in (below, above):
            Run.objects.filter(id=each.id).update(status="failed", ended_at=timezone.now())

    send_all(acme)

    [(_, body)] = receiver.came
    data = json.loads(body)["data"]
    assert (data["id"], data["parent"], data["children"]) == (str(above.id), None, [str(below.id)])
    with tenant_scope(acme.tenant_id):
        [told] = runs_json(with_names(Run.objects.filter(id=below.id)), {}, payloads=True)
    assert told["parent"] == str(above.id)
