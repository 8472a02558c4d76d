"""Who may reach escalations."""

from db.tables import ALL, APPEND, EDIT, OfRuns, Table
from tenants.tables import MEMBER

TABLES = (
    Table(
        "escalations_escalation",
        EDIT,
        dispatch={"SELECT": ("tenant_id", "id", "status", "kind", "due_at", "look_at")},
        journal={"SELECT": ("tenant_id", "id", "run_id", "status", "answer_seq")},
        # What is asked stands in the journal; a digest without a key would let guesses be tried.
        erase=OfRuns("run_id", blank={"digest": "''"}),
    ),
    Table("escalations_vote", ALL, erase="who answered what, by ids and codes"),
    Table("escalations_opened", APPEND, erase="who looked, by ids"),
    Table("escalations_delegation", ALL, references={"user_id": MEMBER, "delegate_id": MEMBER}),
    Table("escalations_queue", ALL),
    Table("escalations_queuemember", ALL, references={"user_id": MEMBER}),
    Table("escalations_queueteam", ALL),
)
