"""`make check`: Django's deployment checks, as an installation in production would run them.

python platform/ops/deploy_check.py
"""

import os
import secrets
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PRODUCTION = {
    "DJANGO_SETTINGS_MODULE": "config.settings",
    "ENVIRONMENT": "production",
    "BASE_URL": "https://countersign.example",
    "ALLOWED_HOSTS": "countersign.example",
    "EMAIL_URL": "off",
}


def environment() -> dict[str, str]:
    """Return the variables of an installation in production, with fresh secrets."""
    keys = {name: secrets.token_urlsafe(32) for name in ("FIELD_KEYS", "AUDIT_SIGNING_KEYS")}
    return {**PRODUCTION, **keys, "SECRET_KEY": secrets.token_urlsafe(48)}


def main() -> int:
    """Run `check --deploy`, warnings counting as errors."""
    command = [sys.executable, str(ROOT / "manage.py"), "check", "--deploy", "--fail-level", "WARNING"]
    return subprocess.run(command, env={**os.environ, **environment()}, check=False).returncode  # noqa: S603


if __name__ == "__main__":
    sys.exit(main())
