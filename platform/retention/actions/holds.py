"""Legal holds: while one stands, neither a term nor an erasure takes what it is over."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet

from access.acting import acting
from agents.core.subjects import plain
from agents.engine import about
from agents.errors import UnknownAgent, UnknownRun
from agents.models import Agent, Run
from retention import subject_of
from retention.actions import orders
from retention.errors import BadHold, NotInForce, ReleaseAsked, UnknownOrder
from retention.models import Order
from retention.permissions import check_ask
from tenants.principal import Principal


@dataclass(frozen=True, slots=True)
class Over:
    """What a hold is over, one of: a subject; a run with the tree that it is in; an agent's runs, by slug, and what was
    changed of it; all that happened in a period, from `since` to before `until`, either of which may be open.
    """

    subject: str | None = None
    run: UUID | None = None
    agent: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def ask(over: Over, reason: str, *, acting_as: Principal) -> Order:
    """Ask for a hold; it stands when another person has confirmed it.

    Raises `AccessDenied`, `NotAPerson`, `BadHold`, `UnknownRun`, `UnknownAgent`, `ReasonNamesSubject`.
    """
    with acting(acting_as):
        check_ask(acting_as, "hold")
        period = over.since is not None or over.until is not None
        if sum((over.subject is not None, over.run is not None, over.agent is not None, period)) != 1:
            raise BadHold
        if over.subject is not None and not plain(over.subject):
            raise BadHold("A subject is an id, and not blank.")
        if over.since is not None and over.until is not None and over.until <= over.since:
            raise BadHold("The period ends after it begins.")
        order = Order(kind="hold", reason=reason, since=over.since, until=over.until)
        if over.run is not None:
            if not Run.objects.filter(id=over.run).exists():
                raise UnknownRun
            order.run_id = over.run
        if over.agent is not None:
            agent = Agent.objects.filter(slug=over.agent).first()
            if agent is None:
                raise UnknownAgent(f"There is no agent {over.agent!r}.")
            order.agent_id = agent.id
        if over.subject is not None:
            order.digests = about.digests(plain(over.subject))
        return orders.ask(order, subject=over.subject, by=acting_as)


def release(hold_id: UUID, reason: str, *, acting_as: Principal) -> Order:
    """Ask for a hold's end; it stands until another person has confirmed that. Returns what is to be confirmed.

    Raises `AccessDenied`, `NotAPerson`, `UnknownOrder`, `NotInForce`, `ReleaseAsked`,
    `ReasonNamesSubject`.
    """
    with acting(acting_as):
        check_ask(acting_as, "release")
        hold = Order.objects.select_for_update().filter(id=hold_id, kind="hold").first()
        if hold is None:
            raise UnknownOrder
        if hold.status != "confirmed":
            raise NotInForce
        if release_of(hold) is not None:
            raise ReleaseAsked
        # A hold whose subject nobody can read any more is not to stand for ever for that; nor is it named by a reason.
        subject = subject_of.readable(hold)
        if subject is not None:
            orders.check_reason(reason, subject)
        return orders.ask(Order(kind="release", reason=reason, of_id=hold.id), by=acting_as)


def listed() -> "QuerySet[Order]":
    """Return the holds of the tenant in scope, those that are over included."""
    return Order.objects.filter(kind="hold")


def release_of(hold: Order) -> Order | None:
    """Return the release of a hold that waits for a second person; None when nobody asked for one."""
    return Order.objects.filter(kind="release", of_id=hold.id, status="asked").first()


def to_be_decided(hold_id: UUID, named: UUID) -> UUID:
    """Return what of a hold is to be decided: the hold itself, or a release of it that is named.

    A release is never meant by the hold alone: who sends again what confirmed a hold would confirm its end. Raises
    `UnknownOrder` for one that is not of this hold.
    """
    if named == hold_id:
        return hold_id
    if not Order.objects.filter(id=named, kind="release", of_id=hold_id).exists():
        raise UnknownOrder
    return named
