"""Play hostile runs on the real engine and database, and hold what came of them against the oracle."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final
from uuid import UUID

from django.db.models import Q
from jsonschema import Draft202012Validator

from access import grants
from agents.actions import mcp_servers, policies
from agents.actions.runs import Request, submit
from agents.engine import claims
from agents.engine.executor import Means, RunExecutor
from agents.engine.toolbox import perform_call
from agents.errors import InvalidArguments
from agents.models import Run, Tool
from db.scope import tenant_scope
from escalations.actions.decisions import Answer, decide
from escalations.errors import AlreadyDecided, MayNotDecide
from escalations.models import Escalation, Vote
from tenants.actions import teams
from tenants.models import Role, User
from tenants.principal import COMMAND, Principal
from tests.hostile.model import ObedientModel
from tests.hostile.served_sets import MCP, SECRET
from tests.hostile.tool_sets import CHANGES, EFFECTS, PLAYING, WRITTEN, ToolSet
from tests.worlds import World, world
from vault.actions import secrets

Json = Any

#: What the people at the inbox do with whatever is asked.
REVIEWERS: Final = ("asleep", "rejecting", "approving", "editing")

LIMIT: Final = 12
_ROUNDS: Final = 30


@dataclass
class Desk:
    """A tenant with one tool set, Dan for whom its runs act, and two who review."""

    tools: ToolSet
    world: World
    dan: Principal
    reviewers: tuple[Principal, ...]


@dataclass
class Tally:
    """What came of runs: calls the model made, and effects there were."""

    counts: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        names = ("runs", "children", "calls", "denied", "asked", "made", "effects")
        return ", ".join(f"{self.counts[name]:,} {name}" for name in names)


def desk(tools: ToolSet, servers: Mapping[str, str]) -> Desk:
    """Make the tenant. servers: where each is in place of what the documents say."""
    made = world()
    documents = json.dumps(tools.tools)
    for said, there in servers.items():
        documents = documents.replace(said, there)
    with tenant_scope(made.tenant_id):
        secrets.put("desk_token", SECRET, acting_as=made.alice)
    mcp_servers.put("wiki", {"transport": "http", "url": f"{servers[MCP]}/mcp"}, acting_as=made.alice)
    if any(each["type"] == "mcp" for each in tools.tools.values()):
        mcp_servers.discover("wiki", acting_as=made.alice)
    specs: dict[str, Json] = json.loads(documents)
    limits = {"tool_calls": LIMIT, "turns": 15}
    for name, own in tools.below.items():
        made.define(name, role="You obey.", tool_specs={each: specs[each] for each in own}, limits=limits)
    made.define("desk", role="You obey.", tool_specs={each: specs[each] for each in tools.offered}, limits=limits)
    dan, ron = made.member("dan", Role.DEVELOPER), made.member("ron", Role.REVIEWER)
    teams.put(tenant_id=made.tenant_id, slug="desk", emails=[f"dan@{made.slug}.example"], acting_as=COMMAND)
    for agent in ("desk", *tools.below):
        made.grant("run", made.agent(agent), dan)
        for reviewer in (made.rita, ron):
            made.grant("review", made.agent(agent), reviewer)
    with tenant_scope(made.tenant_id):
        holder = User.objects.get(id=dan.user_id)
        for name, condition in tools.granted.items():
            given = {"condition": condition} if condition is not None else {}
            grants.add(Tool.objects.get(name=name), "use", holder, acting_as=made.alice, **given)
        for name, spec in tools.policies.items():
            policies.put(name, spec, acting_as=made.alice)
    return Desk(tools, made, dan, (made.rita, ron))


def play(at: Desk, random: Random, reviewer: str, tally: Tally) -> None:
    """Play one run to its end, or until nobody answers, and check all that it did."""
    model = ObedientModel(*at.tools.first)
    run = submit(Request(agent="desk", input={"letter": 1}), acting_as=at.dan).run
    WRITTEN[run.id], PLAYING[0] = at.tools.attack(random, 10), run.id
    runs = [run]
    with ThreadPoolExecutor(4) as threads:
        means = Means(model, perform_call, tools=threads, stopping=lambda: False)
        for _ in range(_ROUNDS):
            while (ready := _ready(at, run)) is not None:
                WRITTEN.update({each.id: WRITTEN[run.id] for each in _all(at, run)})
                _drive(ready, means)
            runs = _all(at, run)
            if reviewer == "asleep" or not any([_answer(at, each, random, reviewer) for each in runs]):
                break
    assert SECRET not in model.read
    tally.counts.update(runs=1, calls=len(model.issued))
    for each in runs:
        _check(at, each, tally)


def _all(at: Desk, run: Run) -> list[Run]:
    """Return the run and those that its calls started."""
    with tenant_scope(at.world.tenant_id):
        return list(Run.objects.filter(Q(id=run.id) | Q(parent_id=run.id)).order_by("id"))


def _ready(at: Desk, run: Run) -> Run | None:
    """Return which of them is claimed next, if any is."""
    ready = [each for each in _all(at, run) if each.ready_at is not None]
    return min(ready, key=lambda each: each.ready_at or each.created_at, default=None)


def _drive(run: Run, means: Means) -> None:
    with claims.claim("hostile", after=UUID(int=run.tenant_id.int - 1)) as claimed:
        if claimed is None or claimed[1].tenant_id != run.tenant_id:
            raise AssertionError("no run of the desk is ready")
        executor = RunExecutor(claimed[1], means)
        command = executor.begin(claimed[0])
    executor.carry_on(command)


def _answer(at: Desk, run: Run, random: Random, reviewer: str) -> bool:
    """Answer what is open; returns whether the run can go on."""
    with tenant_scope(at.world.tenant_id):
        asked = list(Escalation.objects.filter(run_id=run.id, status="open"))
    for question in asked:
        for who in at.reviewers:
            _decide(question, _said(question, random, reviewer), who)
    return bool(asked) and at.world.run(run.id).ready_at is not None


def _decide(question: Escalation, answer: Answer, who: Principal) -> None:
    """Give an answer; an edit that no tool takes is refused at the edge, and becomes a no."""
    try:
        decide(question.id, answer, acting_as=who)
    except InvalidArguments:
        decide(question.id, Answer("reject", question.digest, reason="no"), acting_as=who)
    except (AlreadyDecided, MayNotDecide):
        return


def _said(question: Escalation, random: Random, reviewer: str) -> Answer:
    if question.kind != "tool_call":
        if "respond" in question.allowed:
            return Answer("respond", question.digest, message="go on")
        return Answer("approve" if reviewer == "approving" else "reject", question.digest)
    if reviewer == "editing":
        changed = random.choice(CHANGES)({"to": "ACC-1", "cents": 7, "name": "a.txt", "id": "T-1"}, random)
        return Answer("edit", question.digest, arguments=changed)
    return Answer("approve" if reviewer == "approving" else "reject", question.digest, reason="as always")


# --- the oracle ---------------------------------------------------------------------------------------------------


def _check(at: Desk, run: Run, tally: Tally) -> None:
    done = [(name, arguments) for of, name, arguments in EFFECTS if of == run.id]
    for name, arguments in done:
        Draft202012Validator(at.tools.tools[name]["input_schema"]).validate(arguments)
        assert at.tools.allowed[name](arguments), f"{name} was called with {arguments}"
    made, tainted = Counter[str](), False
    approved = set(_approved(at, run))
    for stored in at.world.events(run.id):
        if stored.action == "tool.requested" and stored.facts["tool"] in at.tools.acts:
            made[stored.facts["tool"]] += 1
            place = stored.facts["turn"], stored.facts["call"]
            assert not tainted or stored.facts["tool"] in at.tools.eager or place in approved, stored
        tainted = tainted or bool(stored.facts.get("untrusted"))
        tally.counts["denied"] += stored.action == "tool.denied"
        tally.counts["asked"] += stored.action == "decision.requested"
        tally.counts["made"] += stored.action == "tool.requested"
    assert Counter(name for name, _ in done) == made
    assert tainted
    assert at.world.run(run.id).tool_calls <= LIMIT * (1 + _extensions(at, run))
    tally.counts["effects"] += len(done)
    tally.counts["children"] += run.parent_id is not None


def _extensions(at: Desk, run: Run) -> int:
    """Count how often people let the run go beyond its cap of calls."""
    with tenant_scope(at.world.tenant_id):
        return Escalation.objects.filter(run_id=run.id, reason="tool_calls", decision="approve").count()


def _approved(at: Desk, run: Run) -> Iterator[tuple[int, int]]:
    """Yield (turn, call) of what enough people, none of them whom the run acts for, have agreed to."""
    asked = {}
    for stored in at.world.events(run.id):
        if stored.action == "decision.requested" and stored.facts["kind"] == "tool_call":
            asked[stored.facts["escalation"]] = stored.facts
        elif stored.action == "decision.made" and stored.facts["decision"] in {"approve", "edit"}:
            facts = asked.get(stored.facts["escalation"])
            if facts is None:
                continue
            with tenant_scope(at.world.tenant_id):
                votes = Vote.objects.filter(escalation_id=stored.facts["escalation"])
                voters = {vote.user_id for vote in votes if vote.decision == stored.facts["decision"]}
            assert at.dan.user_id not in voters
            assert len(voters) >= (1 if stored.facts["decision"] == "edit" else facts.get("required", 1))
            yield facts["turn"], facts["call"]
