"""Who may reach exports."""

from db.tables import ALL, Table

TABLES = (
    Table(
        "exports_export",
        ALL,
        dispatch={"SELECT": ("tenant_id", "id", "next_at", "epoch"), "UPDATE": ("next_at", "epoch")},
    ),
    Table("exports_part", ALL),
)
