"""Who may reach budgets."""

from db.tables import EDIT, Table

TABLES = (Table("quotas_budget", EDIT), Table("quotas_window", EDIT))
