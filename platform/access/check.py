"""The check at the moment of a call: one query, current grants, no cache, no superuser bypass.

It runs in the transaction that records the call's intent, or as a condition of the very statement. Isolation: READ
COMMITTED, so a revocation that has committed is seen; one that commits later stops the next call. A call is made for
one principal or, in a child run, for a line of them: every one of them must hold the grant.
"""

from dataclasses import dataclass

from access.permissions import HOLD_ALL_GRANTS

_ROLES = ", ".join(f"'{role}'" for role in sorted(HOLD_ALL_GRANTS))

_MEMBER = "tenants_membership m JOIN tenants_user u ON u.id = m.user_id AND u.is_active AND m.is_active"

#: Ends a query that is asked row by row, by the index: without it the planner may read the table whole and hash it, or
#: begin with all grants on the object.
_EACH = "OFFSET 0"

#: What conditions may speak of: `{id, email, role, teams}`. `{tenant}` is filled in where it is used.
_FACTS = """jsonb_build_object('id', m.user_id, 'email', u.email, 'role', m.role, 'teams', (
        SELECT coalesce(jsonb_agg(t.slug ORDER BY t.slug), '[]') FROM tenants_user_groups ug, LATERAL (
            SELECT slug FROM tenants_team t WHERE t.group_id = ug.group_id AND t.tenant_id = {tenant} OFFSET 0) AS t
        WHERE ug.user_id = m.user_id))"""


@dataclass(frozen=True, slots=True)
class GrantTables:
    """The direct-foreign-key tables of one kind of object. conditional: whether their grants can have a condition."""

    user: str
    team: str
    conditional: bool = False


def granted_sql(
    tables: GrantTables,
    *,
    objects: str = "%(objects)s::uuid[]",
    users: str = "%(users)s::uuid[]",
    tenant: str = "%(tenant)s",
    permission: str = "%(permission)s",
) -> str:
    """Return the query for what members hold now whatever the arguments: by role, or by a grant without condition.

    It takes `objects` and `users` (uuid[]), `tenant` and `permission`, as parameters or as the SQL expressions given
    for them, and yields (user id, object id); nothing of a member who is gone or inactive.
    """
    return f"""
SELECT w.id, o.id FROM unnest({users}) AS w(id), unnest({objects}) AS o(id) WHERE EXISTS (
    SELECT FROM {_MEMBER} WHERE m.tenant_id = {tenant} AND m.user_id = w.id AND (
        {_always(tables, tenant=tenant, obj="o.id", permission=permission)}))
"""  # noqa: S608 - constants and table names of our own


def holdings_sql(tables: GrantTables) -> str:
    """Return the query for all that members hold now, with the conditions that are on it.

    Parameters as of `granted_sql`, and `facts`: whether `principal` is wanted without a condition, too. Yields (user
    id, object id, always, conditions, principal) of each active member; the object is null when none was asked for.
    always: as of `granted_sql`. conditions: grant id → expression, and principal: `{id, email, role, teams}`; both JSON
    texts, null without one.
    """
    always = _always(tables, tenant="%(tenant)s", obj="o.id", permission="%(permission)s")
    grants = _grants(tables, tenant="%(tenant)s", obj="o.id", permission="%(permission)s")
    conditions = " UNION ALL ".join(f"SELECT g.id, g.condition {each} AND g.condition IS NOT NULL" for each in grants)
    facts = _FACTS.format(tenant="%(tenant)s")
    return f"""
SELECT w.id, o.id, {always}, c.conditions::text, CASE WHEN c.conditions IS NOT NULL OR %(facts)s THEN {facts}::text END
FROM unnest(%(users)s::uuid[]) AS w(id) JOIN ({_MEMBER}) ON m.tenant_id = %(tenant)s AND m.user_id = w.id
LEFT JOIN unnest(%(objects)s::uuid[]) AS o(id) ON true
LEFT JOIN LATERAL (SELECT jsonb_object_agg(g.id, g.condition) AS conditions FROM ({conditions}) AS g) AS c ON true
"""  # noqa: S608 - constants and table names of our own


def unproven_sql(tables: GrantTables, *, proofs: str, tenant: str, permission: str) -> str:
    """Return a condition that is true when a proof no longer stands, for the statement that acts on them.

    proofs: SQL of rows (holder, object, by_grant, condition, principal): the holder holds the permission always where
    by_grant is null; otherwise by that grant, still with that condition, while the principal is still as it was.
    """
    always = _always(tables, tenant=tenant, obj="x.object", permission=permission)
    by_grant = " OR ".join(
        f"EXISTS (SELECT {each} AND g.id = x.by_grant AND g.condition = x.condition {_EACH})"
        for each in _grants(tables, tenant=tenant, obj="x.object", permission=permission)
    )
    return f"""
EXISTS (SELECT FROM {proofs} AS x WHERE NOT EXISTS (
    SELECT FROM {_MEMBER} WHERE m.tenant_id = {tenant} AND m.user_id = x.holder AND CASE
        WHEN x.by_grant IS NULL THEN {always}
        ELSE ({by_grant}) AND {_FACTS.format(tenant=tenant)} = x.principal END))
"""  # noqa: S608 - constants and table names of our own


def _always(tables: GrantTables, *, tenant: str, obj: str, permission: str) -> str:
    """Return a condition on a member `m`: by role, or by a grant without condition."""
    free = " AND g.condition IS NULL" if tables.conditional else ""
    grants = _grants(tables, tenant=tenant, obj=obj, permission=permission)
    return f"(m.role IN ({_ROLES}) OR " + " OR ".join(f"EXISTS (SELECT {each}{free} {_EACH})" for each in grants) + ")"


def _grants(tables: GrantTables, *, tenant: str, obj: str, permission: str) -> tuple[str, str]:
    """Return FROM and WHERE of the grants `g` of a member `m` on an object: their own, and those of their teams."""
    named = f"(SELECT id FROM auth_permission WHERE codename = {permission})"  # noqa: S608 - constants of our own
    on = f"g.tenant_id = {tenant} AND g.content_object_id = {obj} AND g.permission_id IN {named}"
    of_team = f"SELECT g.* FROM {tables.team} g WHERE g.group_id = ug.group_id AND {on} {_EACH}"  # noqa: S608
    return (
        f"FROM {tables.user} g WHERE g.user_id = m.user_id AND {on}",
        f"FROM tenants_user_groups ug, LATERAL ({of_team}) AS g WHERE ug.user_id = m.user_id",
    )
