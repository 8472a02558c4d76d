"""Who may reach secrets."""

from db.tables import ALL, Table

# Locking a key's row while something is sealed with it takes the right to UPDATE; nothing ever does.
TABLES = (Table("vault_secret", ALL), Table("vault_fieldkey", ALL, tenant=None))
