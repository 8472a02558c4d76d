"""Who may reach the journal: app appends and reads; nobody changes."""

from db.tables import APPEND, Table

TABLES = (
    Table("audit_record", APPEND, seal={"SELECT": ("*",)}),
    Table("audit_payload", APPEND),
    Table("audit_outbox", "INSERT", seal={"SELECT, DELETE": ("*",)}),
)
