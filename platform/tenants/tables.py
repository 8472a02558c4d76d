"""Who may reach tenants, people and keys."""

from db.tables import ALL, EDIT, READ, Reference, Table

#: A user who is a member of the tenant, and the group of one of its teams: what hangs on them goes with them.
MEMBER = Reference("tenants_membership", "user_id", cascade=True)
TEAM_GROUP = Reference("tenants_team", "group_id", cascade=True)

_KEY = ("id", "tenant_id", "digest", "scopes", "principal_id", "created_at", "expires_at", "revoked_at", "last_used_at")

TABLES = (
    Table("tenants_tenant", EDIT, tenant=None, dispatch={"SELECT": ("id", "slug")}),
    Table("tenants_user", EDIT, tenant=None, dispatch={"SELECT": ("id", "is_active", "is_service", "is_staff")}),
    Table("tenants_user_groups", ALL, tenant=None),
    Table("tenants_user_user_permissions", READ, tenant=None),
    Table("tenants_membership", ALL, dispatch={"SELECT": ("tenant_id", "user_id", "role", "is_active")}),
    Table("tenants_team", ALL),
    Table("tenants_savedview", ALL, references={"user_id": MEMBER}),
    Table("tenants_teammember", ALL, references={"user_id": MEMBER}),
    Table("tenants_apikey", EDIT, dispatch={"SELECT": _KEY, "UPDATE": ("last_used_at",)}),
    Table("tenants_invitation", EDIT, dispatch={"SELECT": ("id", "tenant_id", "digest")}),
    Table(
        "tenants_staffaccess",
        EDIT,
        dispatch={"SELECT": ("id", "tenant_id", "user_id", "expires_at", "closed_at")},
        erase="names a record of no run, where its reason stands",
    ),
)
