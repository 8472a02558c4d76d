"""Who may reach holds, erasures and terms. The journal's functions that erase look up here whether they may."""

from db.tables import ALL, EDIT, Table

TABLES = (
    Table(
        "retention_order",
        EDIT,
        dispatch={"SELECT": ("tenant_id", "id", "look_at")},
        journal={"SELECT": ("*",)},
        erase="a hold on a run, by its id; a subject only as a keyed hash, and encrypted until its erasure is done",
    ),
    Table("retention_item", ALL, journal={"SELECT": ("*",)}, erase="that a run was erased, by ids"),
    Table(
        "retention_term",
        ALL,
        dispatch={"SELECT": ("tenant_id", "kind", "look_at")},
        journal={"SELECT": ("*",)},
    ),
)
