"""production.yml, as Docker Compose reads it."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from django.conf import settings

Json = Any

FILE = settings.BASE_DIR / "production.yml"
#: What the operator exports.
GIVEN = {"BASE_URL": "https://countersign.example", "ALLOWED_HOSTS": "countersign.example"}

_VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


class Missing(Exception):
    """A variable is not set that must be."""


def project(given: Mapping[str, str] = GIVEN) -> Json:
    """The file with its variables put in."""
    return yaml.safe_load(_VARIABLE.sub(lambda found: _value(found, given), FILE.read_text()))


def _value(found: "re.Match[str]", given: Mapping[str, str]) -> str:
    name, how, rest = found.groups()
    if given.get(name):
        return given[name]
    if how == "?":
        raise Missing(f"{name}: {rest}")
    return rest or ""


def environment(service: str, secrets: Path, given: Mapping[str, str] = GIVEN) -> dict[str, str]:
    """A service's environment, with its secrets in a folder of this machine; only those it lists are there for it."""
    described = project(given)["services"][service]
    found = {}
    for name, value in described["environment"].items():
        if str(value).startswith("/run/secrets/"):
            secret = str(value).removeprefix("/run/secrets/")
            assert secret in described["secrets"], f"{service} has no secret {secret}"
            value = secrets / secret
        found[name] = str(value)
    return found


def lead_to(port: int, secrets: Path) -> None:
    """Let the secrets name this machine's server in place of the service `database`."""
    for name in ("database_url", "database_owner_url"):
        text = (secrets / name).read_text()
        assert "@database:5432/" in text
        os.chmod(secrets / name, 0o644)
        (secrets / name).write_text(text.replace("@database:5432/", f"@127.0.0.1:{port}/"))
