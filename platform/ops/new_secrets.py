"""Make the secrets of a new installation, a file each, for production.yml.

    python3 platform/ops/new_secrets.py FOLDER

What is there already stays. Anybody may read the files, since the account inside a container is another one than
outside; only the account that runs this may enter the folder. Any Python from 3.11 on will do.
"""

import secrets
import sys
from pathlib import Path


def main(arguments: list[str]) -> int:
    """Write what is missing and say what is left to do."""
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    folder = Path(arguments[0])
    folder.mkdir(mode=0o700, exist_ok=True)
    passwords = {name: _kept(folder / name, _key()) for name in ("app_password", "owner_password", "postgres_password")}
    for name, text in {
        "database_url": _url("countersign_app", passwords["app_password"]),
        "database_owner_url": _url("countersign_owner", passwords["owner_password"]),
        "secret_key": _key(),
        "secret_key_fallbacks": "",
        "field_keys": _key(),
        "audit_signing_keys": _key(),
        "metrics_token": _key(),
        "email_url": "off",
        "anthropic_api_key": "",
    }.items():
        _kept(folder / name, text)
    print(f"Put your own into {folder}/anthropic_api_key and {folder}/email_url.")
    print(f"Keep a copy of {folder} apart from the database's backups: without field_keys its secrets can't be read.")
    return 0


def _kept(path: Path, text: str) -> str:
    """Return what the file holds, writing `text` if it isn't there."""
    if not path.exists():
        path.write_text(f"{text}\n")
        path.chmod(0o444)
    return path.read_text().strip()


def _key() -> str:
    """Return 256 random bits in base64url."""
    return secrets.token_urlsafe(32)


def _url(login: str, password: str) -> str:
    return f"postgresql://{login}:{password}@database:5432/countersign"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
