"""What users say of an output: over the interface, and by a link that shows nothing and opens nothing else."""

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.conf import settings as installed
from django.core import signing
from django.test import Client
from django.utils import timezone

from agents.models import Run
from audit.models import Record
from db.scope import tenant_scope
from learning import links
from learning.actions import feedback
from learning.errors import NoOutput
from learning.models import Feedback
from quotas import rates
from tenants.models import Role
from tests.api.conftest import caller
from tests.webhooks.conftest import talked
from tests.worlds import World, world

SCOPES = ("runs:read", "runs:write", "agents:read")


@pytest.fixture
def acme(database: None) -> World:
    made = world()
    made.define("talker", role="You talk.")
    return made


@pytest.fixture
def run(acme: World) -> Run:
    """A run that ended and whose result is told with a link."""
    made = talked(acme)
    feedback.wish(made.id, acting_as=acme.alice)
    return made


def path_of(run: Run) -> str:
    assert run.ended_at is not None
    link = links.address(links.link_of(run.tenant_id, run.id, run.ended_at))
    return link.removeprefix(installed.BASE_URL)


def given(acme: World) -> list[Feedback]:
    with tenant_scope(acme.tenant_id):
        return list(Feedback.objects.order_by("created_at"))


def test_members_say_it_over_the_interface_and_say_it_anew(acme: World, run: Run) -> None:
    alice = caller(acme, acme.alice, *SCOPES)
    assert alice.post(f"runs/{run.id}/feedback", {"score": 2, "comment": "Too long."}).status == 200
    answer = alice.post(f"runs/{run.id}/feedback", {"thumb": "up", "comment": "Ada says it is fine."})
    assert answer.status == 200

    [told] = alice.get(f"runs/{run.id}/feedback").json["results"]
    assert (told["score"], told["thumb"], told["comment"]) == (None, "up", "Ada says it is fine.")
    assert told["by"] == f"alice@{acme.slug}.example"
    [hidden] = caller(acme, acme.bob, "runs:read").get(f"runs/{run.id}/feedback").json["results"]
    assert (hidden["by"], hidden["comment"], hidden["thumb"]) == (None, None, "up")
    [counted] = alice.get("agents/talker/feedback").json["results"]
    assert counted == {"version": 1, "count": 1, "scored": 0, "average_score": None, "up": 1, "down": 0}
    with tenant_scope(acme.tenant_id):
        records = Record.objects.filter(action="feedback.given")
        assert [record.facts["run"] for record in records] == [str(run.id)] * 2
        assert not any("Ada" in str(record.facts) for record in records)


def test_what_has_no_output_gets_none_and_what_says_nothing_is_refused(acme: World, run: Run) -> None:
    alice = caller(acme, acme.alice, *SCOPES)
    waiting = acme.submit("talker", {})
    assert alice.post(f"runs/{waiting.id}/feedback", {"score": 1}).code == "no_output"
    for body in ({}, {"score": 6}, {"score": "5"}, {"thumb": "sideways"}, {"comment": "Hm."}):
        assert alice.post(f"runs/{run.id}/feedback", body).status == 422
    with pytest.raises(NoOutput):
        feedback.give(waiting.id, score=1, acting_as=acme.alice)
    other = world()
    carol = caller(other, other.member("carol", Role.OWNER), *SCOPES)
    assert carol.post(f"runs/{run.id}/feedback", {"score": 1}).status == 404


def test_the_result_is_told_with_the_link_to_who_may_hand_it_on(acme: World, run: Run) -> None:
    told = caller(acme, acme.alice, *SCOPES).get(f"runs/{run.id}").json["feedback"]
    assert told["link"].endswith(path_of(run))
    assert told["given"] == 0
    assert datetime.fromisoformat(told["until"]) > timezone.now() + timedelta(days=29)
    assert caller(acme, acme.bob, "runs:read").get(f"runs/{run.id}").json["feedback"]["link"] is None
    other = talked(acme)
    assert caller(acme, acme.alice, *SCOPES).get(f"runs/{other.id}").json["feedback"]["link"] is None


def test_whoever_has_the_link_says_it_once_without_an_account_and_sees_nothing_of_the_run(
    acme: World, run: Run
) -> None:
    stranger = Client(enforce_csrf_checks=True)
    page = stranger.get(path_of(run))
    text = page.content.decode()
    assert page.status_code == 200
    assert "no-store" in page["Cache-Control"]
    for private in ("talker", "done", str(run.id), acme.slug, "<script"):
        assert private not in text.replace("/static/", "")
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', text)
    assert token is not None
    said = {"score": "4", "comment": "Good, says Ada.", "csrfmiddlewaretoken": token.group(1)}

    assert stranger.post(path_of(run), {"score": "4"}).status_code == 403
    assert stranger.post(path_of(run), {**said, "score": "9"}).status_code == 422
    assert given(acme) == []
    assert "Thank you" in stranger.post(path_of(run), said).content.decode()
    assert "Thank you" in stranger.post(path_of(run), {**said, "score": "1"}).content.decode()
    assert "Thank you" in stranger.get(path_of(run)).content.decode()

    [kept] = given(acme)
    assert (kept.score, kept.user_id, kept.run_id) == (4, None, run.id)
    [told] = caller(acme, acme.alice, *SCOPES).get(f"runs/{run.id}/feedback").json["results"]
    assert (told["comment"], told["by"], told["by_link"]) == ("Good, says Ada.", None, True)


def test_a_forged_an_ended_and_another_links_text_open_nothing_alike(acme: World, run: Run) -> None:
    good = path_of(run).removeprefix("/feedback/").rstrip("/")
    other_purpose = signing.Signer(salt="api.cursor", sep=".").sign(good.split(".")[0])
    unfinished = acme.submit("talker", {})
    early = links.token(links.link_of(acme.tenant_id, unfinished.id, timezone.now()))
    ended = links.token(links.link_of(acme.tenant_id, run.id, timezone.now() - links.FOR))
    nowhere = links.token(links.link_of(world().tenant_id, run.id, timezone.now()))
    answers = set()
    for token in (good[:-1], "B" + good[1:], "nothing", other_purpose, early, ended, nowhere):
        for answer in (Client().get(f"/feedback/{token}/"), Client().post(f"/feedback/{token}/", {"score": "5"})):
            answers.add((answer.status_code, re.sub(rb'nonce="[^"]*"', b"", answer.content)))

    assert {status for status, _ in answers} == {404}
    assert len(answers) == 1
    assert given(acme) == []


def test_an_address_that_comes_too_often_is_held_up(acme: World, run: Run, settings: Any) -> None:
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "feedback": (3, 60)}
    rates.forget()
    try:
        statuses = [Client().get(path_of(run), REMOTE_ADDR="203.0.113.77").status_code for _ in range(4)]
    finally:
        rates.forget()
    assert statuses == [200, 200, 200, 429]
