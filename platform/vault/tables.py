"""Who may reach secrets."""

from db.tables import ALL, Table

TABLES = (Table("vault_secret", ALL),)
