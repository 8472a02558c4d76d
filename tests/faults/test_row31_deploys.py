"""Row 31: another version is published while a run waits: the run stays what it was begun as."""

from uuid import uuid4

from django.db import connections

from tests.faults import agents
from tests.faults.invariants import broken
from tests.faults.rig import Rig


def test_a_version_published_in_mid_run_is_for_new_runs(rig: Rig, database: None) -> None:
    pay = agents.http("POST", f"{rig.effects.url}/each/{{case}}", effect="irreversible")
    rig.world.define("deployed", role="You only pay.", tool_specs={"disburse": pay}, more_tools=["pay"])
    rig.world.grant("review", rig.world.agent("deployed"), rig.world.rita)
    case = uuid4().hex[:8]
    with rig.worker():
        old = rig.start("deployed", {"case": case})
        rig.settle(old, people=False)

    # The deploy: another prompt, another place that the tool calls, and new processes.
    elsewhere = agents.http("POST", f"{rig.effects.url}/each/elsewhere/{{case}}", effect="irreversible")
    rig.world.define("deployed", role="You only read.", tool_specs={"pay": elsewhere}, more_tools=["read"])
    connections.close_all()
    with rig.worker():
        new = rig.start("deployed", {"case": case})
        done, fresh = rig.settle(old), rig.settle(new)

    assert (done["version"], done["output"]) == (1, f"Paid for {case}.")
    assert (fresh["version"], fresh["output"]) == (2, f"Read {case}.")
    assert list(rig.effects.ledger.of(old).values()) == [1]
    assert [asked.path for asked in rig.effects.ledger.asked(old)] == [f"/each/{case}"]
    for run in (old, new):
        assert broken(rig.alice, run, rig.effects.ledger, rig.look) == []
