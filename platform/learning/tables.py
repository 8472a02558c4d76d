"""Who may reach what was learnt. What is about people lies in audit payloads, found by `run_id`."""

from db.tables import ALL, APPEND, EDIT, Table

TABLES = (
    Table("learning_case", ALL),
    Table("learning_feedback", EDIT),
    Table("learning_feedbackwish", APPEND),
)
