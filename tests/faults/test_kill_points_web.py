"""A web process dies at any statement of a request; the client asks again, and it is done once.

A run is submitted again with its idempotency key; an answer and a cancellation are the same ones when given again.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from ops.demo.rest import Rest, RestError
from tests.faults.forge import Child
from tests.faults.invariants import broken
from tests.faults.rig import Rig
from tests.faults.test_kill_points import ENOUGH, sample

Json = Any

#: How many points of each request `make test` tries.
SAMPLE = 3


@dataclass(frozen=True)
class Request:
    """A request that changes something. ready: makes what it is about. ask: makes it of a server, whatever was before.

    Both get the rig; ask also what ready returned, and returns the run's id. right: says what is wrong in the end.
    """

    ready: Callable[[Rig], Json]
    ask: Callable[[Rig, str, Json], str]
    wrong: Callable[[Rig, Json, Json], list[str]]


def submitting() -> Request:
    def ask(rig: Rig, web: str, key: str) -> str:
        body = {"agent": "reader", "input": {"case": key}}
        run: str = rig.api("alice", web=web).post("runs", body, idempotency_key=key)["id"]
        return run

    def wrong(rig: Rig, key: str, ended: Json) -> list[str]:
        runs = rig.look.execute("SELECT id::text FROM agents_run WHERE idempotency_key = %s", [key]).fetchall()
        found = [] if runs == [(ended["id"],)] else [f"the key has the runs {runs}"]
        return found if ended["status"] == "completed" else [*found, f"it is {ended['status']}"]

    return Request(lambda rig: uuid4().hex[:8], ask, wrong)


def waiting(rig: Rig) -> Json:
    """A run that waits for an approval; returns the question."""
    run = rig.start("payer", {"case": uuid4().hex[:8]})
    return rig.open_questions(rig.settle(run, people=False))[0]


def deciding() -> Request:
    def ask(rig: Rig, web: str, question: Json) -> str:
        answer = {"decision": "approve", "digest": question["proposal"]["digest"]}
        once(rig.api("rita", web=web), f"escalations/{question['id']}/decide", answer)
        return str(question["run"])

    def wrong(rig: Rig, question: Json, ended: Json) -> list[str]:
        effects = list(rig.effects.ledger.of(ended["id"]).values())
        return [] if (ended["status"], effects) == ("completed", [1]) else [f"it is {ended['status']}, paid {effects}"]

    return Request(waiting, ask, wrong)


def cancelling() -> Request:
    def ask(rig: Rig, web: str, question: Json) -> str:
        once(rig.api("alice", web=web), f"runs/{question['run']}/cancel", {})
        return str(question["run"])

    def wrong(rig: Rig, question: Json, ended: Json) -> list[str]:
        effects = rig.effects.ledger.of(ended["id"])
        return [] if (ended["status"], effects) == ("cancelled", {}) else [f"it is {ended['status']}, paid {effects}"]

    return Request(waiting, ask, wrong)


REQUESTS = {"submit": submitting, "decide": deciding, "cancel": cancelling}


def once(api: Rest, path: str, body: Json) -> None:
    """Ask for something that may have been done already, which is as good."""
    try:
        api.post(path, body)
    except RestError as error:
        if error.status != 409:
            raise


@pytest.fixture(scope="module")
def worker(rig: Rig) -> Iterator[Child]:
    """A worker that nothing happens to."""
    with rig.worker() as alive:
        yield alive


def ready(rig: Rig, request: Request) -> Json:
    """Make what the request is about. Its key is an unused one, whose use is written down: once a minute, else."""
    about = request.ready(rig)
    rig.look.execute("UPDATE tenants_apikey SET last_used_at = NULL")
    return about


def points(rig: Rig, request: Request) -> list[str]:
    """Count the points of a request, in order."""
    about = ready(rig, request)
    with rig.forge.running("tests.faults.processes:web", count=True) as web:
        rig.settle(request.ask(rig, web.hear(), about))
        return list(dict.fromkeys(web.heard_so_far()))


def lost_at(rig: Rig, request: Request, point: str) -> list[str]:
    """Have the web process die at a point of a request, ask again; return in a sentence each what is not right then."""
    about = ready(rig, request)
    with rig.forge.running("tests.faults.processes:web", die_at=point) as web:
        try:
            request.ask(rig, web.hear(), about)
        except RestError as error:
            if error.status:
                return [str(error)]
        else:
            return ["the point was not reached"]
    ended = rig.settle(request.ask(rig, rig.web, about))
    found = request.wrong(rig, about, ended) + broken(rig.alice, ended["id"], rig.effects.ledger, rig.look)
    return [*found, rig.told(ended["id"])] if found else []


def failures(rig: Rig, request: Request, tried: list[str]) -> list[str]:
    told: list[str] = []
    for point in tried:
        found = lost_at(rig, request, point)
        if found:
            told.append("\n  ".join([f"Killed at {point!r}:", *found]))
        if len(told) == ENOUGH:
            break
    return told


@pytest.mark.parametrize("name", REQUESTS)
def test_a_web_process_killed_at_some_points_of_a_request_leaves_it_to_be_made_again(
    rig: Rig, worker: Child, name: str
) -> None:
    request = REQUESTS[name]()
    every = points(rig, request)
    assert sum(" COMMIT" in point for point in every) >= 2

    found = failures(rig, request, sample(every, SAMPLE))

    assert not found, "\n".join(found)


@pytest.mark.large
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", REQUESTS)
def test_a_web_process_killed_at_any_point_of_a_request_leaves_it_to_be_made_again(
    rig: Rig, worker: Child, name: str
) -> None:
    request = REQUESTS[name]()

    found = failures(rig, request, points(rig, request))

    assert not found, "\n".join(found)
