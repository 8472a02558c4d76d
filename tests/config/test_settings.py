"""The settings of whole processes."""

import os
import subprocess
import sys
from pathlib import Path

from django.conf import settings
from django.contrib.auth.hashers import get_hashers_by_algorithm
from django.test import override_settings

from config import settings as product

PRODUCTION = {"ENVIRONMENT": "production", "BASE_URL": "https://c.example", "ALLOWED_HOSTS": "c.example"}


def manage(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, str(settings.BASE_DIR / "manage.py"), *arguments],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings", **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_starts_no_database(tmp_path: Path) -> None:
    shown = manage("help", DATA_DIR=str(tmp_path))

    assert "migrate" in shown.stdout
    assert not (tmp_path / "postgresql").exists()


def test_production_says_what_is_missing_and_starts_nothing(tmp_path: Path) -> None:
    refused = manage("check", **PRODUCTION, DATA_DIR=str(tmp_path))

    assert refused.returncode != 0
    assert "Traceback" not in refused.stderr
    for name in ("SECRET_KEY", "FIELD_KEYS", "AUDIT_SIGNING_KEYS", "EMAIL_URL"):
        assert f"- {name} is missing" in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_standard_librarys_platform_is_not_shadowed() -> None:
    import platform

    assert platform.python_version() == sys.version.split()[0]


def test_a_password_costs_who_stole_the_database_more_than_is_recommended_at_least() -> None:
    # OWASP's Password Storage Cheat Sheet: Argon2id with 19 MiB and two passes at least.
    with override_settings(PASSWORD_HASHERS=product.PASSWORD_HASHERS):
        algorithm, details = "argon2", get_hashers_by_algorithm()["argon2"].encode("a", "0123456789abcdef")

    kind, _version, costs = details.removeprefix(f"{algorithm}$").split("$")[:3]
    memory_kib, passes = (int(cost.partition("=")[2]) for cost in costs.split(",")[:2])
    assert kind == "argon2id"
    assert memory_kib >= 19 * 1024
    assert passes >= 2
