"""Who may reach tenants, people and keys."""

from db.tables import ALL, EDIT, READ, Table

TABLES = (
    Table("tenants_tenant", EDIT, tenant=None, dispatch={"SELECT": ("id", "slug")}),
    Table("tenants_user", EDIT, tenant=None, dispatch={"SELECT": ("id", "is_active", "is_service")}),
    Table("tenants_user_groups", ALL, tenant=None),
    Table("tenants_user_user_permissions", READ, tenant=None),
    Table("tenants_membership", ALL, dispatch={"SELECT": ("tenant_id", "user_id", "role")}),
    Table("tenants_team", ALL),
    Table("tenants_teammember", ALL),
    Table(
        "tenants_apikey",
        EDIT,
        dispatch={"SELECT": ("id", "tenant_id", "digest", "scopes", "principal_id", "expires_at", "revoked_at")},
    ),
)
