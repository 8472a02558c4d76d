"""The verbs of `audit` that look at holds, erasures and terms, and hash subjects anew.

None of them decides: whoever has a shell on the machine is nobody in particular, and it takes two persons.
"""

from argparse import _SubParsersAction
from typing import Any
from uuid import UUID

from django.core.management.base import OutputWrapper

from db.scope import tenant_scope
from retention import expiring, indexing
from retention.actions import erasures, holds, terms
from retention.models import Order
from tenants.models import User
from tenants.principal import COMMAND

#: How many of each kind are listed, newest first.
LISTED = 100


def add_verbs(verbs: "_SubParsersAction[Any]") -> None:
    """Add them to the command."""
    for name, words in (
        ("holds", "list legal holds, newest first"),
        ("erasures", "list erasures and how far they are"),
        ("retention", "list for how long what concerns people is kept"),
        ("subjects", "hash anew whom runs are about, of older runs too"),
    ):
        verb = verbs.add_parser(name, help=words)
        verb.add_argument("--tenant", required=True, help="the tenant's slug")
        if name == "retention":
            verb.add_argument("--count", action="store_true", help="count what would go now")
        if name == "subjects":
            verb.add_argument("--renew-key", action="store_true", help="make the tenant a new key first")


def handle(verb: str, tenant_id: UUID, options: dict[str, Any], out: OutputWrapper) -> None:
    """Do what one of them says."""
    if verb == "subjects":
        if options["renew_key"]:
            indexing.renew_key(tenant_id, actor=COMMAND)
        out.write(f"{indexing.index(tenant_id, actor=COMMAND)} runs are found by whom they are about")
        return
    with tenant_scope(tenant_id):
        if verb == "retention":
            lines = [_term(kind, days, options["count"]) for kind, days in terms.in_force().items()]
        elif verb == "holds":
            lines = [f"{_order(each)}\t{_over(each)}" for each in holds.listed().order_by("-id")[:LISTED]]
        else:
            lines = [f"{_order(each)}\t{_progress(each)}" for each in erasures.listed().order_by("-id")[:LISTED]]
    out.write("\n".join(lines) or "none")


def _term(kind: str, days: int | None, counted: bool) -> str:
    kept = "for ever" if days is None else f"{days} days"
    return f"{kind}\t{kept}" + (f"\t{expiring.due(kind, days)} due" if counted and days is not None else "")


def _order(order: Order) -> str:
    mails = dict(User.objects.filter(id__in=[order.asked_by_id, order.decided_by_id]).values_list("id", "email"))
    decided = mails.get(order.decided_by_id, "-") if order.decided_by_id else "-"
    asked = mails.get(order.asked_by_id, "-")
    return f"{order.id}\t{order.status}\t{order.asked_at:%Y-%m-%d %H:%M}\t{asked}\t{decided}"


def _over(hold: Order) -> str:
    """Say what it is over, without whom."""
    if hold.run_id or hold.agent_id:
        return f"run {hold.run_id}" if hold.run_id else f"agent {hold.agent_id}"
    if hold.since or hold.until:
        return f"from {hold.since or 'ever'} to {hold.until or 'ever'}"
    return "a subject"


def _progress(erasure: Order) -> str:
    return f"{erasure.runs} runs, {erasure.payloads} payloads erased, {erasures.left(erasure)} runs left"
