"""Who may reach budgets, and the calls that count against the supplier's limits, which are of no tenant."""

from db.tables import ALL, EDIT, Table

TABLES = (
    Table("quotas_budget", EDIT),
    Table("quotas_window", EDIT),
    Table("quotas_modelcall", ALL, tenant=None),
)
