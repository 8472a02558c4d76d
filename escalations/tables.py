"""Who may reach escalations."""

from db.tables import ALL, APPEND, EDIT, Table

TABLES = (
    Table("escalations_escalation", EDIT),
    Table("escalations_vote", APPEND),
    Table("escalations_queue", ALL),
    Table("escalations_queuemember", ALL),
    Table("escalations_queueteam", ALL),
)
