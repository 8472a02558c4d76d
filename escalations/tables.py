"""Who may reach escalations."""

from db.tables import ALL, APPEND, EDIT, Table
from tenants.tables import MEMBER

TABLES = (
    Table(
        "escalations_escalation", EDIT, dispatch={"SELECT": ("tenant_id", "id", "status", "kind", "due_at", "look_at")}
    ),
    Table("escalations_vote", ALL),
    Table("escalations_opened", APPEND),
    Table("escalations_delegation", ALL, references={"user_id": MEMBER, "delegate_id": MEMBER}),
    Table("escalations_queue", ALL),
    Table("escalations_queuemember", ALL, references={"user_id": MEMBER}),
    Table("escalations_queueteam", ALL),
)
