"""Row 26: 50 people decide at once, by API and console and the link of a notice; there is one decision."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest
from django.db import connections
from django.test import Client

from ops.demo.rest import Rest, RestError
from tenants.actions import teams
from tenants.models import Role, User
from tenants.principal import COMMAND, Principal
from tests.api.conftest import caller
from tests.faults.provider import checked, gifts, of_type
from tests.faults.rig import Rig

Json = Any
Way = Callable[[Json, str], str]
pytestmark = pytest.mark.usefixtures("database")

PEOPLE = 50


@pytest.fixture(scope="module")
def people(rig: Rig, django_db_blocker: Any) -> list[Principal]:
    """Fifty reviewers of the paying agent, by a team."""
    with django_db_blocker.unblock():
        made = [rig.world.member(f"n{number}", Role.REVIEWER) for number in range(PEOPLE)]
        members = [f"n{number}@{rig.world.slug}.example" for number in range(PEOPLE)]
        teams.put(tenant_id=rig.world.tenant_id, slug="all", emails=members, acting_as=COMMAND)
        rig.alice.post("agents/payer/grants", {"team": "all", "permission": "review"})
        connections.close_all()
    return made


def by_api(rig: Rig, person: Principal) -> Way:
    """Answer with a key of their own, at the real web server."""
    api = Rest(rig.web, caller(rig.world, person).key or "", host="localhost")

    def answer(question: Json, decision: str) -> str:
        try:
            body = {"decision": decision, "digest": question["proposal"]["digest"], "reason": "So I say."}
            api.post(f"escalations/{question['id']}/decide", body)
        except RestError as error:
            return str(error.problem["code"])
        return "done"

    return answer


def by_console(rig: Rig, person: Principal, *, looks_first: bool) -> Way:
    """Answer by the form of the question's page. looks_first: come by the link of a notice, and read the page."""
    client = Client(raise_request_exception=True)
    client.force_login(User.objects.get(id=person.user_id), "signin.backend.PeopleBackend")

    def answer(question: Json, decision: str) -> str:
        place = f"/{rig.world.slug}/inbox/{question['id']}/"
        digest = question["proposal"]["digest"]
        if looks_first:
            page = client.get(place).content.decode()
            found = re.search(r'name="digest" value="([0-9a-f]{64})"', page)
            digest = found[1] if found else digest  # decided already: the page has no form any more
        try:
            sent = client.post(f"{place}decide/", {"decision": decision, "digest": digest, "reason": "So I say."})
        finally:
            connections.close_all()
        return "done" if sent.status_code == 302 else {403: "own", 409: "already_decided"}[sent.status_code]

    return answer


@pytest.fixture
def ways(rig: Rig, people: list[Principal]) -> list[Way]:
    """How each of them answers."""
    return [
        by_api(rig, each) if place % 5 < 2 else by_console(rig, each, looks_first=place % 5 == 4)
        for place, each in enumerate(people)
    ]


@pytest.fixture
def two(rig: Rig) -> Iterator[None]:
    """Two people have to approve payments."""
    place = f"policies/p{uuid4().hex[:8]}"
    rig.alice.put(place, {"spec": {"applies_to": {"tools": ["pay"]}, "then": "approve", "required": 2}}, new=True)
    yield
    rig.alice.delete(place)


def asked(rig: Rig) -> tuple[str, Json]:
    run = rig.start("payer", {"case": uuid4().hex[:8]})
    with rig.worker():
        (question,) = rig.open_questions(rig.settle(run, people=False))
    return run, question


def all_at_once(ways: list[Way], question: Json, decisions: list[str]) -> Counter[str]:
    """Have everybody answer in the same moment; returns what became of it."""
    ready = Barrier(len(ways))

    def go(way: Way, decision: str) -> str:
        ready.wait()
        return way(question, decision)

    with ThreadPoolExecutor(len(ways)) as pool:
        return Counter(pool.map(go, ways, decisions))


def test_there_is_one_decision(rig: Rig, ways: list[Way]) -> None:
    run, question = asked(rig)
    decisions = ["approve" if place % 2 else "reject" for place in range(PEOPLE)]
    became = all_at_once(ways, question, decisions)
    assert became == {"done": 1, "already_decided": PEOPLE - 1}
    with checked(rig, run), rig.worker():
        rig.settle(run)
    (made,) = of_type(rig.events(run), "decision.made")
    assert gifts(rig, run) == (1 if made["decision"] == "approve" else 0)


def test_where_two_must_agree_two_votes_make_one_decision(rig: Rig, ways: list[Way], two: None) -> None:
    run, question = asked(rig)
    assert question["approvals"] == {"required": 2, "given": 0}
    became = all_at_once(ways, question, ["approve"] * PEOPLE)
    assert became == {"done": 2, "already_decided": PEOPLE - 2}
    assert rig.alice.get(f"escalations/{question['id']}")["approvals"]["given"] == 2
    with checked(rig, run), rig.worker():
        rig.settle(run)
    assert len(of_type(rig.events(run), "decision.made")) == 1
    assert gifts(rig, run) == 1
