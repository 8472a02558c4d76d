"""A tenant in which there is something to keep, to prove and to learn from, and the people who answer for it."""

from dataclasses import dataclass
from uuid import UUID

from django.test import Client

from agents.models import Run
from audit.sealer.loop import sealer
from db import session
from db.scope import tenant_scope
from escalations.actions import decisions
from escalations.actions.decisions import Answer
from escalations.models import Escalation
from exports import making
from learning.actions import cases, feedback
from retention import erasing
from tenants.models import Role, User
from tenants.principal import Principal
from tests.console.conftest import hashed, peopled, signed_in
from tests.escalations.conftest import answers, drive
from tests.worlds import PAY, World

SUBJECT = "CUST-4711"


@dataclass
class Desk:
    """Cora and Carl answer for compliance, Olga owns it. run: one about `SUBJECT`, approved with an edit, completed.

    question: what that run asked. case: what was kept of the edit.
    """

    world: World
    cora: Principal
    carl: Principal
    run: Run
    question: UUID
    case: UUID

    @property
    def base(self) -> str:
        """The tenant's address."""
        return f"/{self.world.slug}/"

    def client(self, name: str) -> Client:
        """A member, signed in."""
        return signed_in(self.world, name)

    def seal(self) -> None:
        """Seal the journal, as workers do."""
        with session.connect() as connection:
            sealer(connection).seal(self.world.tenant_id)

    def make(self) -> None:
        """Make the exports that were asked for, as workers do."""
        self.seal()
        while (hold := making.take()) is not None:
            making.work(hold, turn_s=600)

    def erase(self, order: UUID) -> None:
        """Erase what was confirmed, as workers do."""
        for _ in range(20):
            with tenant_scope(self.world.tenant_id):
                erasing.advance(order)


def desk() -> Desk:
    """Make it."""
    made = peopled()
    people = (("cora", Role.COMPLIANCE), ("carl", Role.COMPLIANCE), ("olga", Role.OWNER))
    cora, carl, _ = (made.member(*each) for each in people)
    for name, _role in people:
        User.objects.filter(email=f"{name}@{made.slug}.example").update(password=hashed())
    made.define(
        "payer",
        role="You pay.",
        tool_specs={"pay": PAY},
        input_schema={"type": "object", "properties": {"customer_id": {}}},
        subject=["/customer_id"],
        appeal={"allowed": True},
    )
    made.grant("review", made.agent("payer"), made.rita)
    run = made.submit("payer", {"customer_id": SUBJECT})
    pay = {"type": "tool_use", "id": "toolu_1", "name": "pay", "input": {"amount": 5, "to": SUBJECT}}
    drive(run, answers(("tool_use", [pay])))
    with tenant_scope(made.tenant_id):
        asked = Escalation.objects.get(run_id=run.id)
    edit = Answer("edit", asked.digest, reason="Four was agreed.", arguments={"amount": 4, "to": SUBJECT})
    decisions.decide(asked.id, edit, acting_as=made.rita)
    drive(made.run(run.id), answers(("end_turn", [{"type": "text", "text": "Paid what was agreed."}])))
    case = cases.keep(asked.id, note="Look at what was agreed.", acting_as=made.rita)
    feedback.give(run.id, score=4, comment="Right, but late.", acting_as=made.alice)
    return Desk(made, cora, carl, made.run(run.id), asked.id, case.id)
