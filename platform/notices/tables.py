"""Who may reach notices. They hold whom and which question, never an address or what a question says."""

from db.tables import ALL, Table
from tenants.tables import MEMBER

TABLES = (
    Table(
        "notices_happening",
        ALL,
        dispatch={"SELECT": ("tenant_id", "id", "look_at")},
        erase="what happened to a question, by ids",
    ),
    Table(
        "notices_notice",
        ALL,
        dispatch={"SELECT": ("tenant_id", "user_id", "send_at", "letter_id")},
        references={"user_id": MEMBER},
        erase="whom a question was told to, by ids",
    ),
    Table(
        "notices_letter",
        ALL,
        dispatch={
            "SELECT": ("tenant_id", "id", "next_at", "attempts", "created_at"),
            "UPDATE": ("next_at", "attempts"),
        },
        references={"user_id": MEMBER},
    ),
    Table("notices_preference", ALL, references={"user_id": MEMBER}),
)
