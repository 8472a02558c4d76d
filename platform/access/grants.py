"""Object grants: who may do what with one object. django-guardian's direct-foreign-key tables behind four verbs.

Any model takes part that guardian finds a user and a team table for (`agents.models.grants`) and that names its
permissions in `Meta.permissions`. A grant to a team is kept for the group the team owns. Where the tables have a column
for it, a grant can have a condition: a text, checked by whoever gives it. Nothing passes by being a superuser; only the
roles in `HOLD_ALL_GRANTS` hold every grant of their tenant.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.db.models import QuerySet
from guardian.utils import get_group_obj_perms_model, get_user_obj_perms_model

from access.acting import acting
from access.check import GrantTables, granted_sql
from access.errors import NoConditions, UnknownGrant, UnknownObject, UnknownPermission
from audit import journal
from db.models import TenantModel
from db.scope import current_tenant_id
from tenants.actions import members, teams
from tenants.errors import UnknownTeam
from tenants.models import Team, User
from tenants.principal import Principal

Holder = User | Team


@dataclass(frozen=True, slots=True)
class Grant:
    """One permission that a member or a team holds on an object. condition: when it holds; None for always."""

    id: UUID
    permission: str
    holder: Holder
    condition: str | None = None


def add(
    obj: TenantModel, permission: str, holder: Holder, *, condition: str | None = None, acting_as: Principal | str
) -> Grant:
    """Let `holder` have `permission` on `obj`; one that is held just so already is returned, without a record.

    condition: when it holds; None for always. Another condition than before makes another grant, with another id.
    Raises `UnknownObject`, `UnknownPermission`, `UnknownMember`, `UnknownTeam`, `NoConditions`, and what `acting`
    raises for `grants:write`.
    """
    with acting(acting_as, "grants:write") as actor:
        _check_own(obj)
        model, column = _table(obj, type(holder))
        conditional = _tables(obj).conditional
        if condition is not None and not conditional:
            raise NoConditions
        place = {"permission": _permission(obj, permission), "content_object": obj, column: _target(holder)}
        said = {"condition": condition} if conditional else {}
        row, created = model.objects.select_for_update().get_or_create(**place, defaults=said)
        grant = Grant(row.pk, permission, holder, condition)
        if created:
            _record("grant.added", obj, grant, actor)
        elif conditional and row.condition != condition:
            row.delete()
            grant = replace(grant, id=model.objects.create(**place, **said).pk)
            _record("grant.changed", obj, grant, actor)
        return grant


def remove(obj: TenantModel, grant_id: UUID, *, acting_as: Principal | str) -> None:
    """Take a grant on `obj` back. Raises `UnknownGrant`, `UnknownObject`; `acting`'s errors for `grants:write`."""
    with acting(acting_as, "grants:write") as actor:
        _check_own(obj)
        found = one(obj, grant_id)
        model, _ = _table(obj, type(found.holder))
        model.objects.filter(pk=grant_id).delete()
        _record("grant.removed", obj, found, actor)


def replace_all(
    obj: TenantModel, wanted: Mapping[tuple[str, Holder], str | None], *, acting_as: Principal | str
) -> bool:
    """Make `wanted`, (permission, holder) → condition, the only grants on `obj`; says whether anything changed.

    One record for each grant added, changed or removed. Raises what `add` raises.
    """
    with acting(acting_as):
        present = {(grant.permission, grant.holder): grant for grant in of(obj)}
        superfluous = [grant for key, grant in present.items() if key not in wanted]
        missing = [key for key in wanted if key not in present or present[key].condition != wanted[key]]
        for grant in superfluous:
            remove(obj, grant.id, acting_as=acting_as)
        for permission, holder in missing:
            add(obj, permission, holder, condition=wanted[permission, holder], acting_as=acting_as)
        return bool(superfluous or missing)


def of(obj: TenantModel) -> list[Grant]:
    """Return all grants on `obj`, oldest first, however many. Works inside the tenant's scope."""
    found = [grant_of(row) for rows in rows_of(obj) for row in rows]
    return sorted(found, key=lambda grant: grant.id)


def one(obj: TenantModel, grant_id: UUID) -> Grant:
    """Return one grant on `obj`; raises `UnknownGrant`. Works inside the tenant's scope."""
    for rows in rows_of(obj):
        row = rows.filter(pk=grant_id).first()
        if row is not None:
            return grant_of(row)
    raise UnknownGrant


def rows_of(obj: TenantModel) -> list[QuerySet[Any]]:
    """Return the rows that hold the grants on `obj`, one query set for each table, for lists that read in pages."""
    by_user, by_team = _table(obj, User)[0], _table(obj, Team)[0]
    return [
        by_user.objects.filter(content_object=obj).select_related("permission", "user"),
        by_team.objects.filter(content_object=obj).select_related("permission", "group__team"),
    ]


def grant_of(row: Any) -> Grant:
    """Return the grant that a row of `rows_of` holds."""
    holder = row.user if hasattr(row, "user_id") else row.group.team
    return Grant(row.pk, row.permission.codename, holder, getattr(row, "condition", None))


def held(principal: Principal, permission: str, obj: TenantModel) -> bool:
    """Say whether the principal holds `permission` on `obj` now, by role or by a grant without condition.

    Works inside the tenant's scope. A key's scopes are another matter: `access.permissions.check`.
    """
    return principal.tenant_id == current_tenant_id() and held_by_all([principal.user_id], permission, obj)


def held_by_all(user_ids: Collection[UUID], permission: str, obj: TenantModel) -> bool:
    """Say whether each of these members of the tenant in scope holds it so."""
    return held_by(user_ids, permission, obj) == set(user_ids)


def held_by(user_ids: Collection[UUID], permission: str, obj: TenantModel) -> set[UUID]:
    """Return those of these members of the tenant in scope who hold it so, in one query; nobody on another's object."""
    if obj.tenant_id != current_tenant_id():
        return set()
    parameters: dict[str, Any] = {
        "objects": [obj.pk],
        "users": list(set(user_ids)),
        "tenant": obj.tenant_id,
        "permission": permission,
    }
    with connection.cursor() as cursor:
        cursor.execute(granted_sql(_tables(obj)), parameters)
        return {row[0] for row in cursor.fetchall()}


def permissions(model: type[TenantModel]) -> tuple[str, ...]:
    """Return the permissions that can be granted on objects of `model`."""
    return tuple(codename for codename, _ in model._meta.permissions)


def _tables(obj: TenantModel) -> GrantTables:
    user, team = get_user_obj_perms_model(obj)._meta, get_group_obj_perms_model(obj)._meta
    return GrantTables(user.db_table, team.db_table, any(field.name == "condition" for field in user.fields))


def _table(obj: TenantModel, holder: type[Holder]) -> tuple[Any, str]:
    if holder is Team:
        return get_group_obj_perms_model(obj), "group"
    return get_user_obj_perms_model(obj), "user"


def _check_own(obj: TenantModel) -> None:
    # The database refuses another tenant's object too, but only when the transaction ends.
    if obj.tenant_id != current_tenant_id():
        raise UnknownObject


def _target(holder: Holder) -> Any:
    if isinstance(holder, Team):
        team = Team.objects.select_related("group").filter(pk=holder.pk).first()
        if team is None:
            raise UnknownTeam
        teams.hold(team)
        return team.group
    members.hold(holder)
    return holder


def _permission(obj: TenantModel, codename: str) -> Permission:
    known = permissions(type(obj))
    if codename not in known:
        raise UnknownPermission(f"There is no permission {codename!r} here. Known: {', '.join(known)}.")
    return Permission.objects.get(content_type=ContentType.objects.get_for_model(type(obj)), codename=codename)


def _record(action: str, obj: TenantModel, grant: Grant, actor: str) -> None:
    kind = "team" if isinstance(grant.holder, Team) else "user"
    journal.record(
        action,
        stream=obj.pk,
        actor=actor,
        subject=f"{kind}:{grant.holder.pk}",
        facts={"permission": grant.permission, "on": type(obj)._meta.model_name, "grant": str(grant.id)},
        payload=None if grant.condition is None else {"condition": grant.condition},  # it may name people
    )
