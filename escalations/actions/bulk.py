"""One answer to many questions: each by itself, and none at great stakes that the member never opened."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from db.scope import tenant_scope
from escalations.actions import decisions
from escalations.actions.decisions import Answer
from escalations.errors import NotOpened
from escalations.models import Escalation, Queue
from escalations.permissions import seen
from escalations.risk import GREAT
from tenants.principal import Principal

#: Answers that say the same of whatever they are given to.
DECISIONS: Final = ("approve", "reject")

#: How many at once.
MOST: Final = 100


@dataclass(frozen=True, slots=True)
class Item:
    """A question, and the digest of what was proposed when it was looked at."""

    id: UUID
    digest: str


def decide(item: Item, decision: str, *, reason: str | None, acting_as: Principal) -> Escalation:
    """Answer one of many, in a transaction of its own. Raises `NotOpened`, and what `decisions.decide` raises."""
    with tenant_scope(acting_as.tenant_id):
        check(item, decision, acting_as=acting_as)
        return decisions.decide(item.id, Answer(decision, item.digest, reason=reason), acting_as=acting_as)


def check(item: Item, decision: str, *, acting_as: Principal) -> None:
    """Raise why `decide` would refuse that answer as things stand, so that a face can tell it beforehand."""
    with tenant_scope(acting_as.tenant_id):
        escalation = seen(item.id, acting_as)
        decisions.check(item.id, acting_as=acting_as)
        if (
            escalation.risk >= _must_open_from(escalation)
            and not escalation.openings.filter(user_id=acting_as.user_id).exists()
        ):
            raise NotOpened
        decisions.check_answer(escalation, Answer(decision, item.digest))


def _must_open_from(escalation: Escalation) -> int:
    """Return from which priority on it must have been opened: as its queue says."""
    own = Queue.objects.filter(slug=escalation.queue).values_list("must_open_from", flat=True).first()
    return GREAT if own is None else own
