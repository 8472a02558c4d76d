"""A tenant whose agents say whom a run is about, and the people who answer for what is kept."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest
from django.db import connections
from django.utils import timezone

from agents.models import Run
from db.models import new_id
from db.scope import tenant_scope
from retention import erasing, expiring
from retention.actions import erasures, orders, terms
from retention.expiring import Batch
from retention.models import Order
from tenants.models import Role
from tenants.principal import Principal
from tests.escalations.conftest import answers, drive
from tests.worlds import LOOKUP, PAY, World, world

Json = Any

SCHEMA: Json = {"type": "object", "properties": {"customer_id": {}, "note": {"type": "string"}}}


@dataclass
class Keep:
    """The tenant; Cora and Carl answer for compliance, Olga owns it."""

    world: World
    cora: Principal
    carl: Principal
    olga: Principal

    def ended(self, subject: Json, *, agent: str = "teller", note: str = "", **more: Any) -> Run:
        """Return a run about somebody that has ended: with a note in its input, its tool's result and its output."""
        run = self.world.submit(agent, {"customer_id": subject, "note": note}, **more)
        call = {"type": "tool_use", "id": "toolu_1", "name": "lookup", "input": {"key": f"of {note}"}}
        text = {"type": "text", "text": f"Done for {note}."}
        drive(run, answers(("tool_use", [call]), ("end_turn", [text])))
        return self.world.run(run.id)

    def finish(self, run: Run) -> Run:
        """Have a run answer at once."""
        drive(run, answers(("end_turn", [{"type": "text", "text": "Done."}])))
        return self.world.run(run.id)

    def end(self, run: Run) -> Run:
        """Have a run that was asked to end do so."""
        drive(run, answers())
        return self.world.run(run.id)

    def asked(self, subject: str) -> Order:
        """Have an erasure asked for."""
        return erasures.ask(subject, "asked by letter", acting_as=self.cora)

    def erase(self, subject: str) -> Order:
        """Have an erasure asked for and confirmed."""
        return orders.confirm(self.asked(subject).id, acting_as=self.carl)

    def work(self, order: Order, batches: int = 20) -> Order:
        """Do what workers do of an erasure until it is done, or so many batches."""
        for _ in range(batches):
            with tenant_scope(self.world.tenant_id):
                erasing.advance(order.id)
        return self.order(order.id)

    def order(self, order_id: UUID) -> Order:
        """Read an order again."""
        with tenant_scope(self.world.tenant_id):
            return Order.objects.get(id=order_id)

    def erased(self, run: Run) -> bool:
        """Say whether the journal has nothing left of what concerns people in a run."""
        found = self.world.events(run.id)
        gone = [each.erased for each in found if each.action != "run.started"]
        return any(gone) and not any(each.payload is not None for each in found)

    def old(self, days: int, subject: Json = "4711", **more: Any) -> Run:
        """Return a run that was begun and has ended so many days ago."""
        id_ = UUID(int=new_id().int - (days * 24 * 3600 * 1000 << 80))
        with patch("agents.actions.runs.new_id", lambda: id_):
            run = self.ended(subject, **more)
        with tenant_scope(self.world.tenant_id):
            at = timezone.now() - timedelta(days=days)
            Run.objects.filter(id=run.id).update(created_at=at, ended_at=at)
        return self.world.run(run.id)

    def keep_for(self, **terms_: int | None) -> None:
        """Have terms asked for and confirmed."""
        change = terms.ask(terms_, "policy", acting_as=self.cora)
        orders.confirm(change.id, acting_as=self.carl)

    def go_round(self, kind: str) -> list[Batch]:
        """Do what workers do of one round of a class."""
        done: list[Batch] = []
        while not done or done[-1].upto is not None:
            with tenant_scope(self.world.tenant_id):
                batch = expiring.advance(kind)
            assert batch is not None
            done.append(batch)
        return done


@pytest.fixture
def keep(database: None) -> Keep:
    """A fresh one."""
    made = world()
    made.define(
        "teller", role="You tell.", tool_specs={"lookup": LOOKUP}, input_schema=SCHEMA, subject=["/customer_id"]
    )
    made.define("payer", role="You pay.", tool_specs={"pay": PAY}, subject=["/customer_id"])
    people = [made.member(*who) for who in (("cora", Role.COMPLIANCE), ("carl", Role.COMPLIANCE), ("olga", Role.OWNER))]
    return Keep(made, *people)


def close_connections() -> None:
    """Give a thread's connections back."""
    connections.close_all()
