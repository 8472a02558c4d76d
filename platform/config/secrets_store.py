"""The secrets of a development installation: made once, kept in DATA_DIR, readable by their owner only."""

import os
import secrets
import tempfile
from pathlib import Path


def generated_secret(folder: Path, name: str) -> str:
    """Read the secret `name` kept in `folder`, making it at the first use (256 random bits in base64url).

    Safe when several processes start at once: one writes, all read what it wrote.
    Raises OSError if the folder can't be written.
    """
    path = folder / name
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, draft = tempfile.mkstemp(prefix=f".{name}.", dir=folder)  # 0600
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(32))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # Another process was first: its secret counts.
        finally:
            os.unlink(draft)
    return path.read_text().strip()
