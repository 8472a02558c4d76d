"""Who may reach budgets, and the calls that count against the supplier's limits, which are of no tenant."""

from db.tables import ALL, Table

TABLES = (
    Table("quotas_budget", ALL),
    Table("quotas_window", ALL),
    Table("quotas_modelcall", ALL, tenant=None),
)
