"""Object grants: who may do what with one object. django-guardian's direct-foreign-key tables behind four verbs.

Any model takes part that guardian finds a user and a team table for (`agents.models.grants`) and that names its
permissions in `Meta.permissions`. A grant to a team is kept for the group the team owns. Nothing passes by being a
superuser; only the roles in `HOLD_ALL_GRANTS` hold every grant of their tenant.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from guardian.utils import get_group_obj_perms_model, get_user_obj_perms_model

from access.acting import acting
from access.check import granted_sql
from access.errors import UnknownGrant, UnknownObject, UnknownPermission
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
    """One permission that a member or a team holds on an object."""

    id: UUID
    permission: str
    holder: Holder


def add(obj: TenantModel, permission: str, holder: Holder, *, acting_as: Principal | str) -> Grant:
    """Let `holder` have `permission` on `obj`; one that is held already is returned as it is, without a record.

    Raises `UnknownObject`, `UnknownPermission`, `UnknownMember`, `UnknownTeam`, and what `acting` raises for
    `grants:write`.
    """
    with acting(acting_as, "grants:write") as actor:
        _check_own(obj)
        model, column = _table(obj, type(holder))
        target = _target(holder)
        row, created = model.objects.get_or_create(
            permission=_permission(obj, permission), content_object=obj, **{column: target}
        )
        if created:
            _record("grant.added", obj, permission, holder, actor)
        return Grant(row.pk, permission, holder)


def remove(obj: TenantModel, grant_id: UUID, *, acting_as: Principal | str) -> None:
    """Take a grant on `obj` back. Raises `UnknownGrant`, `UnknownObject`; `acting`'s errors for `grants:write`."""
    with acting(acting_as, "grants:write") as actor:
        _check_own(obj)
        found = next((grant for grant in of(obj) if grant.id == grant_id), None)
        if found is None:
            raise UnknownGrant
        model, _ = _table(obj, type(found.holder))
        model.objects.filter(pk=grant_id).delete()
        _record("grant.removed", obj, found.permission, found.holder, actor)


def replace(obj: TenantModel, wanted: Collection[tuple[str, Holder]], *, acting_as: Principal | str) -> bool:
    """Make (permission, holder) in `wanted` the only grants on `obj`; says whether anything changed.

    One record for each grant added or removed. Raises what `add` raises.
    """
    with acting(acting_as):
        present = {(grant.permission, grant.holder): grant for grant in of(obj)}
        superfluous = [grant for key, grant in present.items() if key not in wanted]
        missing = [key for key in wanted if key not in present]
        for grant in superfluous:
            remove(obj, grant.id, acting_as=acting_as)
        for permission, holder in missing:
            add(obj, permission, holder, acting_as=acting_as)
        return bool(superfluous or missing)


def of(obj: TenantModel) -> list[Grant]:
    """Return the grants on `obj`, oldest first. Works inside the tenant's scope."""
    users, _ = _table(obj, User)
    teams, _ = _table(obj, Team)
    found = [
        Grant(row.pk, row.permission.codename, row.user)
        for row in users.objects.filter(content_object=obj).select_related("permission", "user")
    ]
    found += [
        Grant(row.pk, row.permission.codename, row.group.team)
        for row in teams.objects.filter(content_object=obj).select_related("permission", "group__team")
    ]
    return sorted(found, key=lambda grant: grant.id)


def held(principal: Principal, permission: str, obj: TenantModel) -> bool:
    """Say whether the principal holds `permission` on `obj` now, by role or by grant. Works inside the tenant's scope.

    A key's scopes are another matter: `access.permissions.check`.
    """
    users, _ = _table(obj, User)
    teams, _ = _table(obj, Team)
    query = granted_sql(user_grants=users._meta.db_table, team_grants=teams._meta.db_table)
    parameters: dict[str, Any] = {
        "objects": [obj.pk],
        "tenant": principal.tenant_id,
        "user": principal.user_id,
        "permission": permission,
    }
    if obj.tenant_id != principal.tenant_id:
        return False
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return cursor.fetchone() is not None


def permissions(model: type[TenantModel]) -> tuple[str, ...]:
    """Return the permissions that can be granted on objects of `model`."""
    return tuple(codename for codename, _ in model._meta.permissions)


def _table(obj: TenantModel, holder: type[Holder]) -> tuple[Any, str]:
    if holder is Team:
        return get_group_obj_perms_model(obj), "group"
    return get_user_obj_perms_model(obj), "user"


def _check_own(obj: TenantModel) -> None:
    # A foreign key does not know of tenants: without this a row could point at another's object.
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


def _record(action: str, obj: TenantModel, permission: str, holder: Holder, actor: str) -> None:
    kind = "team" if isinstance(holder, Team) else "user"
    journal.record(
        action,
        stream=obj.pk,
        actor=actor,
        subject=f"{kind}:{holder.pk}",
        facts={"permission": permission, "on": type(obj)._meta.model_name},
    )
