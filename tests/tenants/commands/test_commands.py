"""`tenant create`, `tenant member`, `apikey create` as processes: what they print, where, and how they refuse."""

import os
import subprocess
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from db.models import new_id
from db.scope import tenant_scope
from tenants.actions import api_keys, members, teams, tenants
from tenants.models import Role, User

GOOD = "correct horse battery staple"


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def manage(database: None, process_environment: dict[str, str]) -> Run:
    """Runs `manage.py …` as a process on this run's database."""

    def run(*arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, str(settings.BASE_DIR / "manage.py"), *arguments]
        return subprocess.run(
            command, env=process_environment, input=stdin, capture_output=True, text=True, timeout=120
        )

    return run


@pytest.mark.parametrize("command", ["apikey list {}", "tenant members {}", "tenant list", "help"])
def test_a_list_that_nobody_reads_on_ends_without_a_word(
    slug: str, process_environment: dict[str, str], command: str
) -> None:
    tenant = tenants.by_slug(slug)
    api_keys.create(tenant=tenant, name="key", scopes=["runs:read"], acting_as="system:test")
    reading, writing = os.pipe()
    os.close(reading)
    run = [sys.executable, str(settings.BASE_DIR / "manage.py"), *command.format(slug).split()]
    with os.fdopen(writing, "wb") as output:
        done = subprocess.run(run, env=process_environment, stdout=output, stderr=subprocess.PIPE, timeout=120)

    assert (done.stderr, done.returncode) == (b"", 1)


def refused(*arguments: str, stdin: str = "") -> str:
    """Call in this process what must fail; return the sentence it says."""
    with patch.object(sys, "stdin", StringIO(stdin)), pytest.raises(CommandError) as error:
        call_command(*arguments)
    return str(error.value)


@pytest.fixture
def slug(database: None) -> str:
    """A tenant without members."""
    made = f"t{new_id().hex[-12:]}"
    tenants.create(slug=made, acting_as="system:test")
    return made


def person(slug: str, email: str) -> tuple[User, Any]:
    """Return a member and the role."""
    tenant = tenants.by_slug(slug)
    with tenant_scope(tenant.id):
        user = members.by_email(email)
    return user, members.principal(tenant_id=tenant.id, user_id=user.id)


def test_a_tenant_a_member_and_a_key_from_nothing(manage: Run) -> None:
    slug = f"t{new_id().hex[-12:]}"

    made = manage("tenant", "create", slug, "--name", "Größe & Söhne")
    assert (made.returncode, made.stderr) == (0, "")
    assert tenants.by_slug(slug).name == "Größe & Söhne"

    added = manage(
        "tenant", "member", slug, "Ada@Acme.Example", "--role", "owner", "--password-stdin", stdin=f"{GOOD}\n"
    )
    assert (added.returncode, added.stderr) == (0, "")
    user, principal = person(slug, "ada@acme.example")
    assert user.check_password(GOOD)
    assert principal.role == Role.OWNER

    key = manage(
        "apikey", "create", slug, "--name", "ci", "--scopes", "runs:read, runs:write", "--as", "ADA@acme.example"
    )
    assert (key.returncode, key.stderr) == (0, "")
    assert key.stdout.count("\n") == 1
    acting = api_keys.authenticate(key.stdout.strip())
    assert (acting.user_id, acting.role, acting.scopes) == (user.id, Role.OWNER, frozenset({"runs:read", "runs:write"}))


def test_a_refusal_is_a_sentence_on_stderr_and_no_output(manage: Run, slug: str) -> None:
    done = manage("tenant", "member", slug, "nobody", "--role", "owner")

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.strip() == "CommandError: 'nobody' is not an e-mail address."


def test_a_tenant_is_refused_with_a_sentence(slug: str) -> None:
    assert "'Not A Slug' is not a slug" in refused("tenant", "create", "Not A Slug")
    assert f"There is a tenant '{slug}' already" in refused("tenant", "create", slug)
    assert "at most 200 characters" in refused("tenant", "create", f"{slug}2", "--name", "x" * 201)


def test_a_member_is_refused_with_a_sentence(slug: str) -> None:
    assert "'nobody' is not an e-mail address" in refused("tenant", "member", slug, "nobody", "--role", "owner")
    assert "There is no tenant 'none-such'" in refused(
        "tenant", "member", "none-such", "a@b.example", "--role", "owner"
    )
    assert "invalid choice: 'king'" in refused("tenant", "member", slug, "a@b.example", "--role", "king")


@pytest.mark.parametrize(
    ("typed", "reason"), [("", "too short"), ("\n", "too short"), ("password1234\n", "too common")]
)
def test_a_poor_password_is_refused_with_a_sentence(slug: str, typed: str, reason: str) -> None:
    said = refused("tenant", "member", slug, "a@b.example", "--role", "owner", "--password-stdin", stdin=typed)

    assert reason in said
    assert "password1234" not in said


@pytest.mark.parametrize(
    ("typed", "password"),
    [(f"{GOOD}", GOOD), (f"{GOOD}\n", GOOD), (f"{GOOD}\r\n", GOOD), (f" {GOOD} \n\n", f" {GOOD} \n")],
    ids=ascii,
)
def test_one_line_end_after_a_password_is_the_shells(
    slug: str, typed: str, password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    email = f"ada@{slug}.example"
    monkeypatch.setattr(sys, "stdin", StringIO(typed))

    call_command("tenant", "member", slug, email, "--role", "viewer", "--password-stdin", stdout=StringIO())

    assert User.objects.get(email=email).check_password(password)


def test_a_key_is_refused_with_a_sentence(slug: str) -> None:
    create = ("apikey", "create", slug, "--name", "x", "--scopes")

    assert "Unknown scope runs:fly. Known: runs:read" in refused(*create, "runs:read,runs:fly")
    assert "none given" in refused(*create, " , ")
    assert "nobody@b.example is not a member" in refused(*create, "runs:read", "--as", "nobody@b.example")
    assert "There is no tenant 'none-such'" in refused(
        "apikey", "create", "none-such", "--name", "x", "--scopes", "admin"
    )
    assert "one line" in refused("apikey", "create", slug, "--name", "a\nb", "--scopes", "admin")


def test_a_team_is_made_and_changed(slug: str) -> None:
    tenant = tenants.by_slug(slug)
    for name in ("ada", "bert"):
        members.put(tenant=tenant, email=f"{name}@{slug}.example", role=Role.REVIEWER, acting_as="system:test")
    call_command("tenant", "team", slug, "credit", "--member", f"ada@{slug}.example", stdout=StringIO())
    call_command("tenant", "team", slug, "credit", "--member", f"bert@{slug}.example", stdout=StringIO())
    with tenant_scope(tenant.id):
        assert [place.user.email for place in teams.by_slug("credit").members.all()] == [f"bert@{slug}.example"]
    assert "not a member" in refused("tenant", "team", slug, "credit", "--member", "nobody@else.example")


def test_a_folder_that_cannot_hold_the_data_is_named_in_a_sentence(
    process_environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    environment = {key: value for key, value in process_environment.items() if "KEY" not in key}
    ended = subprocess.run(
        [sys.executable, str(settings.BASE_DIR / "manage.py"), "check"],
        env=environment | {"DATA_DIR": str(tmp_path / "file")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode != 0
    assert "let it name a folder that this account may write" in ended.stderr
    assert "Traceback" not in ended.stderr
