"""Who may reach secrets."""

from db.tables import ALL, EDIT, Table

# Locking a key's row while something is sealed with it takes the right to UPDATE; nothing ever does.
TABLES = (
    Table("vault_secret", ALL),
    Table("vault_fieldkey", ALL, tenant=None),
    Table("vault_hashkey", EDIT),
)
