"""A tenant whose agents say whom a run is about, and the people who answer for what is kept."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, connections

from agents.models import Run
from db.scope import tenant_scope
from retention import erasing
from retention.actions import erasures, orders
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

    def erase(self, subject: str) -> Order:
        """Have an erasure asked for and confirmed."""
        order = erasures.ask(subject, "asked by letter", acting_as=self.cora)
        return orders.confirm(order.id, acting_as=self.carl)

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

    def age(self, runs: list[Run], days: int) -> None:
        """Let runs be as old as that: begun and ended so many days ago. Their ids stay."""
        with tenant_scope(self.world.tenant_id):
            for run in runs:
                with connection.cursor() as cursor:
                    cursor.execute(
                        "UPDATE agents_run SET ended_at = now() - make_interval(days => %s) WHERE id = %s",
                        [days, run.id],
                    )


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
