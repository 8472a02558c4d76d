"""`secret set` as a process: the value comes by standard input and shows nowhere."""

import subprocess
import sys

from django.conf import settings

from db.scope import tenant_scope
from tests.worlds import world
from vault.actions import secrets


def set_secret(environment: dict[str, str], slug: str, name: str, value: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "manage.py", "secret", "set", slug, name, "--stdin"]
    return subprocess.run(
        command, cwd=settings.BASE_DIR, env=environment, input=value, capture_output=True, text=True, timeout=120
    )


def test_it_keeps_what_comes_in(database: None, process_environment: dict[str, str]) -> None:
    here = world()

    done = set_secret(process_environment, here.slug, "crm_token", "correct horse\n")

    assert done.returncode == 0, done.stderr
    assert "correct horse" not in done.stdout + done.stderr
    with tenant_scope(here.tenant_id):
        assert secrets.reveal("crm_token") == "correct horse"


def test_a_bad_name_is_said_in_a_sentence(database: None, process_environment: dict[str, str]) -> None:
    done = set_secret(process_environment, world().slug, "1", "correct horse")

    assert done.returncode == 1
    assert "1 to 63 letters" in done.stderr
    assert "Traceback" not in done.stderr
