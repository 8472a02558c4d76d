"""The check at the moment of a call: one query, current grants, no cache, no superuser bypass.

It runs in the transaction that records the call's intent, or as a condition of the very statement. Isolation: READ
COMMITTED, so a revocation that has committed is seen; one that commits later stops the next call.
"""

from access.permissions import HOLD_ALL_GRANTS

_ROLES = ", ".join(f"'{role}'" for role in sorted(HOLD_ALL_GRANTS))


def granted_sql(
    *,
    user_grants: str,
    team_grants: str,
    objects: str = "%(objects)s::uuid[]",
    tenant: str = "%(tenant)s",
    user: str = "%(user)s",
    permission: str = "%(permission)s",
) -> str:
    """Return the query for the objects of which a member holds a permission now.

    user_grants, team_grants: the direct-foreign-key tables of the object's kind. The query takes `objects` (uuid[]),
    `tenant`, `user` and `permission`, as parameters or as the SQL expressions given for them, and yields the ids that
    are held; none when the member is gone or inactive.
    """
    return f"""
SELECT o.id FROM unnest({objects}) AS o(id) WHERE EXISTS (
    SELECT 1 FROM tenants_membership m JOIN tenants_user u ON u.id = m.user_id
    WHERE m.tenant_id = {tenant} AND m.user_id = {user} AND u.is_active AND (
        m.role IN ({_ROLES})
        OR EXISTS (
            SELECT 1 FROM {user_grants} g JOIN auth_permission p ON p.id = g.permission_id
            WHERE g.content_object_id = o.id AND g.user_id = m.user_id AND p.codename = {permission})
        OR EXISTS (
            SELECT 1 FROM tenants_user_groups ug JOIN {team_grants} g ON g.group_id = ug.group_id
            JOIN auth_permission p ON p.id = g.permission_id
            WHERE ug.user_id = m.user_id AND g.content_object_id = o.id AND p.codename = {permission})))
"""  # noqa: S608 - constants and table names of our own
