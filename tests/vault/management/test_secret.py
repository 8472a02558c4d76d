"""`secret …` as a process: the value comes by standard input and shows nowhere; without its key nothing starts."""

import subprocess
import sys
from secrets import token_urlsafe

import pytest
from django.conf import settings

from db.scope import tenant_scope
from tests.worlds import world
from vault.actions import secrets
from vault.ring import keyring


def manage(environment: dict[str, str], *arguments: str, value: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(
        command, cwd=settings.BASE_DIR, env=environment, input=value, capture_output=True, text=True, timeout=120
    )


def set_secret(environment: dict[str, str], slug: str, name: str, value: str) -> subprocess.CompletedProcess[str]:
    return manage(environment, "secret", "set", slug, name, "--stdin", value=value)


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


def test_secrets_are_listed_and_deleted(database: None, process_environment: dict[str, str]) -> None:
    here = world()
    for name in ("one", "two"):
        secrets.put(name, "correct horse", acting_as=here.alice)

    deleted = manage(process_environment, "secret", "delete", here.slug, "one")
    listed = manage(process_environment, "secret", "list", here.slug)

    assert deleted.returncode == 0, deleted.stderr
    assert listed.stdout == "two\n"


@pytest.mark.parametrize(
    "command",
    [("web", "--port", "0"), ("qcluster",), ("up", "--port", "0", "--workers", "0")],
    ids=lambda each: each[0],
)
def test_a_process_with_other_keys_refuses_to_start(
    database: None, process_environment: dict[str, str], command: tuple[str, ...]
) -> None:
    """As when DATA_DIR/secrets was lost beside the database, and new keys were made."""
    secrets.put("token", "correct horse", acting_as=world().alice)
    other = {**process_environment, "FIELD_KEYS": token_urlsafe(32)}

    done = manage(other, *command)

    assert done.returncode != 0
    assert keyring().ids[0] in done.stdout + done.stderr
    assert "Put it back" in done.stdout + done.stderr
    assert "ready http" not in done.stdout
