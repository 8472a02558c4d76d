"""The secrets of a development installation: made once, kept in DATA_DIR, readable by their owner only."""

import os
import secrets
from pathlib import Path


def generated_secret(folder: Path, name: str) -> str:
    """Read the secret `name` kept in `folder`, making it at the first use (256 random bits in base64url).

    Safe when several processes start at once: one writes, all read what it wrote.
    Raises OSError if the folder can't be written.
    """
    path = folder / name
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = folder / f".{name}.{os.getpid()}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(32))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # Another process was first: its secret counts.
        finally:
            draft.unlink()
    return path.read_text().strip()
