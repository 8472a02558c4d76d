"""`check --deploy` really looks: what production runs with passes, what development runs with does not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from ops import deploy_check

ROOT = Path(settings.BASE_DIR)


def test_an_installation_in_production_passes() -> None:
    command = [sys.executable, str(ROOT / "platform" / "ops" / "deploy_check.py")]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


@pytest.mark.parametrize(
    ("statement", "check"),
    [
        ("SECURE_SSL_REDIRECT = False", "security.W008"),
        ("SESSION_COOKIE_SECURE = False", "security.W012"),
        ("CSRF_COOKIE_SECURE = False", "security.W016"),
        ("SECURE_HSTS_SECONDS = 0", "security.W004"),
        ("DEBUG = True", "security.W018"),
        ("X_FRAME_OPTIONS = 'SAMEORIGIN'", "security.W019"),
    ],
)
def test_one_step_back_fails(tmp_path: Path, statement: str, check: str) -> None:
    (tmp_path / "worse.py").write_text(f"from config.settings import *\n{statement}\n")
    environment = {
        **os.environ,
        **deploy_check.environment(),
        "DJANGO_SETTINGS_MODULE": "worse",
        "PYTHONPATH": str(tmp_path),
    }
    command = [sys.executable, str(ROOT / "manage.py"), "check", "--deploy", "--fail-level", "WARNING"]

    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode != 0
    assert check in done.stderr
