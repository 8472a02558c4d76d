"""Who may reach webhooks."""

from db.tables import ALL, OfRuns, Table

TABLES = (
    Table("webhooks_endpoint", ALL),
    Table(
        "webhooks_delivery",
        ALL,
        dispatch={"SELECT": ("tenant_id", "id", "next_at", "attempts"), "UPDATE": ("next_at", "attempts")},
        erase=OfRuns("run_id"),
    ),
)
