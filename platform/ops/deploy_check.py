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
    "ENVIRONMENT": "production",
    "BASE_URL": "https://countersign.example",
    "ALLOWED_HOSTS": "countersign.example",
    "EMAIL_URL": "off",
}


def main() -> int:
    """Run `check --deploy` with fresh secrets, warnings counting as errors."""
    keys = {name: secrets.token_urlsafe(48 if name == "SECRET_KEY" else 32) for name in ("SECRET_KEY", "FIELD_KEYS")}
    environment = {**os.environ, **PRODUCTION, **keys, "AUDIT_SIGNING_KEYS": secrets.token_urlsafe(32)}
    command = [sys.executable, str(ROOT / "manage.py"), "check", "--deploy", "--fail-level", "WARNING"]
    return subprocess.run(command, env=environment, check=False).returncode  # noqa: S603


if __name__ == "__main__":
    sys.exit(main())
