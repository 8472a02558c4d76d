"""For how long what concerns people is kept, by class."""

from collections.abc import Mapping

from access.acting import acting
from retention.actions import orders
from retention.classes import CLASSES, LEAST_DAYS, MOST_DAYS
from retention.errors import BadTerms, TermsAsked
from retention.models import Order, Term
from retention.permissions import check_ask
from tenants.principal import Principal


def ask(terms: Mapping[str, int | None], reason: str, *, acting_as: Principal) -> Order:
    """Ask for other terms; they count when another person has confirmed them. Classes left out stay as they are.

    terms: class → days, or None for ever. A shorter term erases, so it takes two persons like an erasure. Raises
    `AccessDenied`, `NotAPerson`, `BadTerms`, `TermsAsked`.
    """
    with acting(acting_as):
        check_ask(acting_as, "terms")
        unknown = sorted(set(terms) - set(CLASSES))
        if unknown or not terms:
            raise BadTerms(f"Name classes among {', '.join(CLASSES)}.")
        if any(days is not None and not LEAST_DAYS <= days <= MOST_DAYS for days in terms.values()):
            raise BadTerms(f"A term has {LEAST_DAYS} to {MOST_DAYS} days, or null for ever.")
        orders.one_at_a_time()
        if asked() is not None:
            raise TermsAsked
        whole = {kind: None if days is None else int(days) for kind, days in terms.items()}
        return orders.ask(Order(kind="terms", reason=reason, terms=whole), by=acting_as)


def asked() -> Order | None:
    """Return the change that waits for a second person."""
    return Order.objects.filter(kind="terms", status="asked").first()


def in_force() -> dict[str, int | None]:
    """Return every class with its days, or None for ever."""
    known = dict(Term.objects.values_list("kind", "days"))
    return {kind: known.get(kind) for kind in CLASSES}
