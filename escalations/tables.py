"""Who may reach escalations."""

from db.tables import ALL, APPEND, EDIT, Table
from tenants.tables import MEMBER

TABLES = (
    Table("escalations_escalation", EDIT, dispatch={"SELECT": ("tenant_id", "status", "kind", "due_at")}),
    Table("escalations_vote", APPEND),
    Table("escalations_queue", ALL),
    Table("escalations_queuemember", ALL, references={"user_id": MEMBER}),
    Table("escalations_queueteam", ALL),
)
