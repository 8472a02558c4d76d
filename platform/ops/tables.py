"""Who may reach the tables that Django and the libraries bring. None of them holds a tenant's data."""

from db.tables import ALL, READ, Table


def _platform(name: str, app: str = ALL) -> Table:
    return Table(name, app, tenant=None)


TABLES = (
    _platform("django_migrations", READ),
    _platform("django_content_type", READ),
    _platform("django_session"),
    _platform("django_admin_log", "SELECT, INSERT"),
    _platform("auth_permission", READ),
    _platform("auth_group"),
    _platform("auth_group_permissions"),
    _platform("django_q_ormq"),
    _platform("django_q_task"),
    _platform("django_q_schedule"),
    _platform("guardian_groupobjectpermission", ""),
    _platform("guardian_userobjectpermission", ""),
)
