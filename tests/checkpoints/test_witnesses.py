"""Witnesses cosign each log's newest checkpoint; whatever they do instead is bounded, told, and hinders nobody."""

import logging
from typing import Any

import pytest

from audit.log import note
from audit.log.note import VerifierKey
from audit.log.witness import cosigned_at
from audit.stored import execute
from checkpoints import asking, figures, rounds, statements
from checkpoints.beside import Messengers
from checkpoints.clock import Clock as RealClock
from db.roles import seal
from db.scope import tenant_scope
from tests.audit.sealer import logs
from tests.audit.sealer.conftest import Superuser
from tests.checkpoints.conftest import Clock, grow, knows, setting
from tests.checkpoints.witness import Asked, Witness, witnessing
from tests.worlds import World, world


def go_round(witness: Witness, clock: RealClock) -> int:
    """Have the witness asked if it is due; returns how many logs it cosigned."""
    return sum(rounds.go_round(each, clock) for each in rounds.due(clock()) if each.name in witness.vkey)


def cosigned(acme: World) -> dict[int, tuple[str, ...]]:
    """Return what was kept, by size."""
    with tenant_scope(acme.tenant_id):
        return logs.log_of(acme).cosigned()


def ours(witness: Witness, acme: World) -> list[Asked]:
    """Return what the witness was asked of this log."""
    return [asked for asked in witness.asked if asked.origin.endswith(str(acme.tenant_id))]


def figure(witness: Witness, clock: Clock) -> tuple[float, int]:
    """Return what is told of the witness: seconds behind, logs refused."""
    with seal():
        return next((behind, refused) for name, behind, refused in figures.witnesses(clock()) if name in witness.vkey)


def test_the_newest_checkpoint_is_cosigned_and_kept(acme: World, witness: Witness, clock: Clock) -> None:
    assert go_round(witness, clock) == 1

    head = logs.signed(acme).head
    [line] = cosigned(acme)[head.size]
    opened, _ = note.opened(logs.signed(acme).note + line.encode(), [VerifierKey.parse(witness.vkey)])
    assert cosigned_at(opened.signatures[-1]) == witness.time
    assert [(asked.old, asked.status) for asked in ours(witness, acme)] == [(0, 200)]


def test_what_came_since_is_proven_to_lead_on_and_nothing_is_asked_twice(
    acme: World, witness: Witness, clock: Clock, settings: Any
) -> None:
    sizes = [logs.signed(acme).head.size]
    go_round(witness, clock)
    for count in (1, 600, 3):
        sizes.append(grow(acme, count))
        assert go_round(witness, clock) == 0  # not before its time
        clock.passes(seconds=settings.WITNESS_SECONDS)
        assert go_round(witness, clock) == 1
        clock.passes(seconds=settings.WITNESS_SECONDS)
        assert go_round(witness, clock) == 0

    asked = [(asked.old, asked.size, asked.status) for asked in ours(witness, acme)]
    assert asked == [(old, size, 200) for old, size in zip([0, *sizes], sizes, strict=False)]
    assert list(cosigned(acme)) == [sizes[-1]]  # the newest one of the witness


def test_a_witness_that_knows_another_size_is_asked_once_more(acme: World, witness: Witness, clock: Clock) -> None:
    then = logs.signed(acme).head
    grow(acme, 300)
    for known in ((then.size, then.root), (0, b"")):
        with seal():
            execute("DELETE FROM checkpoints_standing RETURNING 1", {})
        witness.asked.clear()
        origin = then.origin
        witness.state[origin] = known
        if known[0] == 0:
            grow(acme, 1)
            with seal():
                write = "INSERT INTO checkpoints_standing VALUES (%(w)s, %(t)s, 1, %(n)s, now()) RETURNING 1"
                execute(write, {"w": setting(witness).name, "t": acme.tenant_id, "n": then.size})
        assert go_round(witness, clock) == 1
        assert [asked.status for asked in ours(witness, acme)] == [409, 200]
        clock.passes(hours=1)


def test_a_log_that_was_forked_is_not_cosigned_and_that_is_told(
    acme: World, witness: Witness, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    head = logs.signed(acme).head
    for size, answered in ((head.size - 3, [409, 422]), (head.size, [409, 409]), (head.size + 5, [409])):
        with seal():
            execute("DELETE FROM checkpoints_standing RETURNING 1", {})
        witness.asked.clear()
        witness.state[head.origin] = (size, bytes(32))  # it saw another tree
        with caplog.at_level(logging.ERROR, "checkpoints"):
            caplog.clear()
            assert go_round(witness, clock) == 0
        [told] = [record.getMessage() for record in caplog.records]
        assert "is not cosigned" in told
        assert "forked" in told
        assert [asked.status for asked in ours(witness, acme)] == answered
        assert figure(witness, clock) == (0.0, 1)
        assert cosigned(acme) == {}
        clock.passes(hours=2)


def test_one_log_that_is_refused_hinders_no_other(acme: World, witness: Witness, clock: Clock, settings: Any) -> None:
    other = world()
    settings.WITNESSES = (setting(witness, acme, other),)
    grow(other, 3)  # which the witness was not told of

    assert go_round(witness, clock) == 1
    assert cosigned(other) == {}
    assert figure(witness, clock)[1] == 1
    knows(witness, other)
    clock.passes(minutes=2)
    assert go_round(witness, clock) == 1
    assert list(cosigned(other)) == [logs.signed(other).head.size]
    assert figure(witness, clock)[1] == 0


@pytest.mark.parametrize("status", [500, 429, 409])
def test_one_log_that_it_fails_on_hinders_no_other_and_is_told(
    acme: World, witness: Witness, clock: Clock, settings: Any, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    other = world()
    grow(other, 3)
    knows(witness, other)
    settings.WITNESSES = (setting(witness, acme, other),)
    bad, good = sorted((acme, other), key=lambda each: each.tenant_id)  # the bad one is the first in the line
    origin = logs.signed(bad).head.origin
    witness.fails[origin] = status
    begun = clock()

    with caplog.at_level(logging.ERROR, "checkpoints"):
        assert go_round(witness, clock) == 1
    assert str(bad.tenant_id) in caplog.text
    for _ in range(3):
        clock.passes(seconds=settings.WITNESS_SECONDS)
        grow(good, 1)
        assert go_round(witness, clock) == 1
    assert list(cosigned(good)) == [logs.signed(good).head.size]
    assert cosigned(bad) == {}
    assert figure(witness, clock) == ((clock() - begun).total_seconds(), 0)

    witness.fails.clear()
    clock.passes(minutes=10)
    assert go_round(witness, clock) == 1
    assert list(cosigned(bad)) == [logs.signed(bad).head.size]
    assert figure(witness, clock) == (0.0, 0)


@pytest.mark.parametrize("behaviour", ["another text", "another key", "cut", "a text of its own", "nothing", "no text"])
def test_a_witness_that_lies_has_cosigned_nothing(
    acme: World, witness: Witness, clock: Clock, behaviour: str, caplog: pytest.LogCaptureFixture
) -> None:
    witness.behaviour = behaviour

    with caplog.at_level(logging.ERROR, "checkpoints"):
        assert go_round(witness, clock) == 0

    assert cosigned(acme) == {}
    assert figure(witness, clock)[1] == 1
    assert "answers what no witness may" in caplog.text
    witness.behaviour = "among others"
    clock.passes(minutes=2)
    assert go_round(witness, clock) == 1
    [[line]] = cosigned(acme).values()
    assert line.split(" ")[1] == witness.name  # the other key's line is not kept


@pytest.mark.parametrize("behaviour", ["503", "500", "302", "429", "huge", "silent"])
def test_a_witness_that_fails_is_left_alone_for_a_while(
    acme: World, witness: Witness, clock: Clock, behaviour: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "TIMEOUT_S", 0.5)
    others = [world() for _ in range(3)]
    settings.WITNESSES = (setting(witness, acme, *others),)
    for other in others:
        grow(other, 1)
        knows(witness, other)
    witness.behaviour = behaviour

    assert go_round(witness, clock) == 0
    assert go_round(witness, clock) == 0
    clock.passes(seconds=59)
    assert go_round(witness, clock) == 0
    behind, refused = figure(witness, clock)
    assert (behind, refused) == (59.0, 0)
    witness.behaviour = "honest"
    witness.released.set()
    clock.passes(seconds=1)
    assert go_round(witness, clock) == 4  # all of them, at once
    assert figure(witness, clock) == (0.0, 0)


def test_what_is_not_the_log_is_not_shown_to_a_witness(
    acme: World, witness: Witness, clock: Clock, superuser: Superuser
) -> None:
    with superuser.transaction():
        superuser.execute("SET LOCAL session_replication_role = replica")
        superuser.execute("UPDATE audit_leaf SET hash = sha256(hash) WHERE tenant_id = %s", [acme.tenant_id])

    assert go_round(witness, clock) == 0
    assert ours(witness, acme) == []
    assert figure(witness, clock)[1] == 1


def test_two_processes_do_not_ask_at_once(acme: World, witness: Witness, clock: Clock) -> None:
    [asked] = rounds.due(clock())
    with seal():
        of = {"witness": asked.name, "now": clock(), "until": clock() + rounds.TAKEN}
        assert execute(statements.TAKE_WITNESS, of)
    assert rounds.go_round(asked, clock) == 0
    clock.passes(seconds=121)  # the other one died
    assert rounds.go_round(asked, clock) == 1


def test_a_witness_is_called_where_the_installation_allows_it_alone(
    acme: World, witness: Witness, clock: Clock, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.EGRESS_ALLOW, settings.WITNESS_ALLOW = (witness.place,), ()

    with caplog.at_level(logging.ERROR, "checkpoints"):
        assert go_round(witness, clock) == 0

    assert witness.asked == []
    assert f"WITNESS_ALLOW={witness.place}" in caplog.text


def test_workers_ask_beside_everything_else_and_several_witnesses_at_once(
    acme: World, witness: Witness, clock: Clock, settings: Any
) -> None:
    witness.behaviour = "silent"
    messengers = Messengers()
    with witnessing("witness.example/two", seed=bytes([8]) * 32) as two:
        knows(two, acme)
        settings.WITNESSES = (setting(witness, acme), setting(two, acme))
        settings.WITNESS_ALLOW = (witness.place, two.place)
        for _ in range(3):
            messengers.send_due(clock)  # returns at once, whoever is silent
        messengers._threads[setting(two).name].join()
        witness.behaviour = "honest"
        witness.released.set()
        messengers.close()

    assert [line.split(" ")[1] for [line] in cosigned(acme).values()] == [two.name]
