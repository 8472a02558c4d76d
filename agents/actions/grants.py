"""The grants a document brings along: `[{team | user, permission}]`, applied with it."""

from collections.abc import Sequence
from typing import Any

from access import grants
from access.grants import Grant, Holder
from agents.errors import InvalidDocument
from db.models import TenantModel
from tenants.actions import members, teams
from tenants.errors import UnknownMember, UnknownTeam
from tenants.models import Team
from tenants.principal import Principal

Json = Any


def apply(obj: TenantModel, entries: Sequence[Json] | None, *, acting_as: Principal | str) -> bool:
    """Make `entries` the only grants on `obj`; says whether anything changed. None leaves the grants as they are.

    entries: checked against the document's schema. Raises `InvalidDocument` for people and teams that are not there,
    and what `access.grants.add` raises.
    """
    if entries is None:
        return False
    return grants.replace(
        obj, {_wanted(index, entry): None for index, entry in enumerate(entries)}, acting_as=acting_as
    )


def written(obj: TenantModel) -> list[Json]:
    """Return the grants on `obj` as a document writes them, in a steady order."""
    return sorted(map(_written, grants.of(obj)), key=lambda entry: (entry["permission"], *sorted(entry.items())))


def _wanted(index: int, entry: Json) -> tuple[str, Holder]:
    try:
        holder = teams.by_slug(entry["team"]) if "team" in entry else members.by_email(entry["user"])
    except (UnknownMember, UnknownTeam) as error:
        place = f"/grants/{index}/{'team' if 'team' in entry else 'user'}"
        raise InvalidDocument(str(error), errors=[{"pointer": place, "detail": str(error)}]) from error
    return entry["permission"], holder


def _written(grant: Grant) -> Json:
    holder = {"team": grant.holder.slug} if isinstance(grant.holder, Team) else {"user": grant.holder.email}
    return {**holder, "permission": grant.permission}
