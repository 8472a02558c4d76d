"""A member's own views of lists: saved by name, listed, taken away. Nobody else sees or changes them."""

from typing import Final
from uuid import UUID

from audit import journal
from db.scope import tenant_scope
from tenants.actions.names import check_name
from tenants.errors import BadName, BadView, TooManyViews, UnknownView
from tenants.models import Membership, SavedView
from tenants.principal import Principal

PLACES: Final = ("inbox", "runs")

#: How many a member keeps of a place, and how long what one is narrowed to may be.
MOST: Final = 30
LONGEST: Final = 500


def save(place: str, name: str, query: str, *, acting_as: Principal) -> SavedView:
    """Keep the view under `name`, in the place of one of that name; one that is so already leaves no record.

    query: what the list is narrowed to, as in the address. Raises `BadView`, `BadName`,
    `TooManyViews`.
    """
    if place not in PLACES or len(query) > LONGEST:
        raise BadView
    check_name(name)
    if not name.strip():
        raise BadName("Give the view a name.")
    with tenant_scope(acting_as.tenant_id):
        # One at a time for each member, so that two tabs make neither two of a name nor one too many.
        Membership.objects.select_for_update().filter(user_id=acting_as.user_id).first()
        mine = SavedView.objects.filter(user_id=acting_as.user_id, place=place)
        view = mine.filter(name=name).first()
        if view is not None and view.query == query:
            return view
        if view is None and mine.count() >= MOST:
            raise TooManyViews
        view = view or SavedView(user_id=acting_as.user_id, place=place, name=name)
        view.query = query
        view.save()
        _record("view.saved", view, acting_as)
        return view


def remove(view_id: UUID, *, acting_as: Principal) -> None:
    """Forget one's own view; raises `UnknownView`."""
    with tenant_scope(acting_as.tenant_id):
        view = SavedView.objects.select_for_update().filter(id=view_id, user_id=acting_as.user_id).first()
        if view is None:
            raise UnknownView
        _record("view.removed", view, acting_as)
        view.delete()


def saved(place: str, user_id: UUID) -> list[SavedView]:
    """Return a member's views of a place by name, in the tenant's scope."""
    return list(SavedView.objects.filter(user_id=user_id, place=place).order_by("name")[:MOST])


def _record(action: str, view: SavedView, acting_as: Principal) -> None:
    journal.record(
        action,
        stream=view.id,
        actor=acting_as.actor,
        subject=f"user:{view.user_id}",
        facts={"place": view.place},
        payload={"name": view.name, "query": view.query},
    )
