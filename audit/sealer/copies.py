"""The copy of each log's last checkpoint, kept outside the database, so that a restored backup is told from the log.

A file for each log in AUDIT_CHECKPOINTS_DIR. Written before the checkpoint is told to anybody, replaced in one step and
flushed to the disk: what was signed is known here even when the database has forgotten it.
"""

import os
from pathlib import Path
from uuid import UUID


class Copies:
    """folder: made when it is missing, for this account alone. Several hosts that seal share it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, tenant_id: UUID, generation: int) -> Path:
        """Return where a log's copy is."""
        return self.folder / (str(tenant_id) if generation == 1 else f"{tenant_id}.{generation}")

    def read(self, tenant_id: UUID, generation: int) -> bytes | None:
        """Return the note, or None when there is none. Raises `OSError`."""
        try:
            return self.path(tenant_id, generation).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, tenant_id: UUID, generation: int, note: bytes) -> None:
        """Keep the note in place of the former one, durably. Raises `OSError`; the former one is kept then."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        place = self.path(tenant_id, generation)
        draft = place.with_name(f"{place.name}.{os.getpid()}.new")
        with draft.open("wb") as file:
            file.write(note)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(place)
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
