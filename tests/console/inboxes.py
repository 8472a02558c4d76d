"""A tenant with a queue that Rita works, and questions in it."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from agents.models import Run
from db.scope import tenant_scope
from escalations.actions import queues
from escalations.models import Escalation
from escalations.risk import GREAT, urgency
from tests.console import journals
from tests.console.conftest import email, peopled
from tests.worlds import PAY, VERDICT, World


@dataclass
class Desk:
    """The tenant, and its questions in the order in which they were asked."""

    world: World
    asked: list[UUID]

    def escalation(self, place: int = 0) -> Escalation:
        """Read a question again."""
        with tenant_scope(self.world.tenant_id):
            return Escalation.objects.get(id=self.asked[place])

    def change(self, place: int = 0, **columns: Any) -> None:
        """Set columns of a question."""
        with tenant_scope(self.world.tenant_id):
            Escalation.objects.filter(id=self.asked[place]).update(**columns)

    def press(self, place: int) -> None:
        """Have much be at stake in a question."""
        self.change(place, risk=GREAT, urgency=urgency(GREAT, 60 * place))

    def path(self, place: int = 0, more: str = "") -> str:
        """Return the address of a question."""
        return f"/{self.world.slug}/inbox/{self.asked[place]}/{more}"

    def run(self, place: int = 0) -> Run:
        """Read the run that a question is about."""
        return self.world.run(self.escalation(place).run_id)


def desk(questions: int = 1) -> Desk:
    """Make the tenant and let as many runs ask for a payment, by the tool that the agent's version pins."""
    world = peopled()
    with tenant_scope(world.tenant_id):
        queues.put("finance", {"members": [email(world, "rita")]}, acting_as=world.alice)
    world.define("payments", role="Pays", output_schema=VERDICT, tool_specs={"pay": PAY})
    asked = []
    for number in range(questions):
        run = world.submit("payments", {"order": f"order-{number}"})
        journals.begin(world, run.id)
        journals.append(world, run.id, journals.ask_model(1), journals.model_answers(1, []))
        journals.append(world, run.id, journals.call_tool(1, 0, "lookup", {"key": "k"}))
        journals.append(world, run.id, journals.tool_answers(1, 0, "lookup", {"owed": 100 + number}))
        arguments = {"amount": 100 + number, "to": f"Ada {number}"}
        escalation = journals.ask_person(world, run.id, turn=2, tool="pay", arguments=arguments, queue="finance")
        asked.append(escalation)
    made = Desk(world, asked)
    for place in range(questions):  # as if there were a minute between them
        made.change(place, allowed=["approve", "reject", "edit", "respond"], risk=30, urgency=urgency(30, 60 * place))
    return made
