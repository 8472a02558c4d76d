"""Who may reach what is known of witnesses and letters: who seals alone, as they are of all logs."""

from db.tables import Table

_OWN = {"SELECT, INSERT, UPDATE, DELETE": ("*",)}

TABLES = (
    Table("checkpoints_witness", "", tenant=None, seal=_OWN),
    Table("checkpoints_standing", "", seal=_OWN),
    Table("checkpoints_mailing", "", tenant=None, seal=_OWN),
)
