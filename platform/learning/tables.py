"""Who may reach what was learnt. What is about people lies in audit payloads, found by `run_id`."""

from db.tables import ALL, APPEND, OfRuns, Table

#: Who erases a run finds by these the streams of what was learnt from it.
_BY_RUN = {"SELECT": ("tenant_id", "id", "run_id")}

TABLES = (
    Table("learning_case", ALL, journal=_BY_RUN, erase=OfRuns("run_id")),
    Table("learning_feedback", ALL, journal=_BY_RUN, erase=OfRuns("run_id")),
    Table("learning_feedbackwish", APPEND, erase="that a run's result is told with a link"),
)
