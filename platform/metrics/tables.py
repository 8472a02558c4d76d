"""Who may reach the totals: they are of no tenant, and name none."""

from db.tables import EDIT, Table

TABLES = (Table("metrics_total", EDIT, tenant=None),)
