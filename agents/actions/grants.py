"""Give grants and take them back; the grants a document brings along: `[{team | user, permission, condition?}]`."""

from collections.abc import Sequence
from typing import Any

from access import grants
from access.grants import Grant, Holder
from agents.core import conditions
from agents.core.document import tool_document
from agents.core.rules import BadRule
from agents.errors import BadCondition, InvalidDocument
from agents.models import Agent, Tool
from tenants.actions import members, teams
from tenants.errors import UnknownMember, UnknownTeam
from tenants.models import Team
from tenants.principal import Principal

Json = Any


def give(
    obj: Agent | Tool, permission: str, holder: Holder, *, condition: str | None = None, acting_as: Principal | str
) -> Grant:
    """Let `holder` have `permission` on `obj`. condition: CEL over `args` and `principal`, for tools; None for always.

    Raises `BadCondition`, and what `access.grants.add` raises.
    """
    if condition is not None and isinstance(obj, Tool):
        _check(condition, obj)
    return grants.add(obj, permission, holder, condition=condition, acting_as=acting_as)


def apply(obj: Agent | Tool, entries: Sequence[Json] | None, *, acting_as: Principal | str) -> bool:
    """Make `entries` the only grants on `obj`; says whether anything changed. None leaves the grants as they are.

    entries: checked by `agents.core.document`. Raises `InvalidDocument` for people and teams that are not there and for
    a holder named twice, and what `access.grants.add` raises.
    """
    if entries is None:
        return False
    wanted: dict[tuple[str, Holder], str | None] = {}
    for index, entry in enumerate(entries):
        key = _wanted(index, entry)
        if wanted.setdefault(key, entry.get("condition")) != entry.get("condition"):
            detail = "The same holder and permission stand here twice, with different conditions; join them with ||."
            raise InvalidDocument(detail, errors=[{"pointer": f"/grants/{index}", "detail": detail}])
    return grants.replace_all(obj, wanted, acting_as=acting_as)


def written(obj: Agent | Tool) -> list[Json]:
    """Return the grants on `obj` as a document writes them, in a steady order."""
    return sorted(map(_written, grants.of(obj)), key=lambda entry: (entry["permission"], *sorted(entry.items())))


def _check(condition: str, tool: Tool) -> None:
    schema = tool_document(tool.name, tool.live.document)["input_schema"] if tool.live is not None else {}
    try:
        conditions.check(condition, schema)
    except BadRule as error:
        raise BadCondition(" ".join(str(error).split())) from error


def _wanted(index: int, entry: Json) -> tuple[str, Holder]:
    try:
        holder = teams.by_slug(entry["team"]) if "team" in entry else members.by_email(entry["user"])
    except (UnknownMember, UnknownTeam) as error:
        place = f"/grants/{index}/{'team' if 'team' in entry else 'user'}"
        raise InvalidDocument(str(error), errors=[{"pointer": place, "detail": str(error)}]) from error
    return entry["permission"], holder


def _written(grant: Grant) -> Json:
    holder = {"team": grant.holder.slug} if isinstance(grant.holder, Team) else {"user": grant.holder.email}
    condition = {} if grant.condition is None else {"condition": grant.condition}
    return {**holder, "permission": grant.permission, **condition}
