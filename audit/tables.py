"""Who may reach the journal: app appends and reads; nobody changes, and nobody writes what was before or will be."""

from db.tables import APPEND, READ, Table

#: A record is of the moment its statement began, and its id says so too; a payload is added with its record or never.
_NOW = "(at = statement_timestamp()) AND audit_is_now(id)"
_WITH_ITS_RECORD = "audit_is_now(record_id)"

#: The log is read by its tenant; only the sealer adds to it, and nobody changes it.
_SEALED = {"SELECT, INSERT": ("*",)}

TABLES = (
    Table("audit_record", APPEND, seal={"SELECT": ("*",)}, check=_NOW, erase="for ever, and without a word on anybody"),
    Table("audit_payload", APPEND, check=_WITH_ITS_RECORD, erase="by functions of the journal's owner (`retention`)"),
    Table("audit_outbox", "SELECT, INSERT", seal={"SELECT, DELETE": ("*",)}, erase="ids, until they are sealed"),
    Table("audit_outbox_aside", READ, seal={"SELECT, INSERT, DELETE": ("*",)}, erase="ids, until they are sealed"),
    Table("audit_log", READ, seal=_SEALED),
    Table("audit_leaf", READ, seal=_SEALED, erase="hashes of records"),
    Table("audit_tile", READ, seal=_SEALED),
    Table("audit_checkpoint", READ, seal=_SEALED),
    Table("audit_cosignature", READ, seal=_SEALED),
    Table("audit_erased", READ, erase="that a stream was erased, and why"),
    Table("audit_expired", READ),
    # Made from the rest, and made again at any time.
    Table("audit_search_segment", "SELECT, INSERT, DELETE", seal={"SELECT": ("*",)}),
    Table("audit_search_page", "SELECT, INSERT, DELETE"),
    Table(
        "audit_search_stale",
        "SELECT, INSERT, DELETE",
        seal={"SELECT": ("*",)},
        erase="ids, until their pages are made anew without the words",
    ),
)
