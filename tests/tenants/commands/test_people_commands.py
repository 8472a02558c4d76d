"""`tenant`, `apikey` and `staff`: what they print and how they refuse. That the verbs work stands with the actions."""

import subprocess
import sys
from io import StringIO
from unittest.mock import patch

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from db.models import new_id
from db.scope import tenant_scope
from tenants.actions import api_keys, invitations, members, tenants
from tenants.errors import BadKey
from tenants.models import Role, Team, User
from tenants.principal import COMMAND
from tests.worlds import add_factor

GOOD = "correct horse battery staple"


def done(*arguments: str, stdin: str = "") -> str:
    """Call in this process; return what it prints."""
    out = StringIO()
    with patch.object(sys, "stdin", StringIO(stdin)):
        call_command(*arguments, stdout=out)
    return out.getvalue()


def refused(*arguments: str, stdin: str = "") -> str:
    """Call what must fail; return the sentence it says."""
    with pytest.raises(CommandError) as error:
        done(*arguments, stdin=stdin)
    return str(error.value)


@pytest.fixture
def slug(database: None) -> str:
    """A tenant of an owner, Olga, and a viewer, Bob."""
    made = f"t{new_id().hex[-12:]}"
    tenant = tenants.create(slug=made, name="Acme Bank", acting_as=COMMAND)
    for name, role in (("olga", Role.OWNER), ("bob", Role.VIEWER)):
        members.put(tenant=tenant, email=f"{name}@{made}.example", role=role, acting_as=COMMAND)
    return made


def test_tenants_and_members_are_listed(slug: str) -> None:
    assert f"{slug}\tAcme Bank\t{tenants.by_slug(slug).id}\n" in done("tenant", "list")
    done("tenant", "deactivate", slug, f"bob@{slug}.example")
    assert done("tenant", "members", slug) == (
        f"bob@{slug}.example\tviewer\tinactive\t\nolga@{slug}.example\towner\tactive\t\n"
    )


def test_a_member_is_deactivated_reactivated_and_removed(slug: str) -> None:
    bob = f"bob@{slug}.example"
    for verb, says in (("deactivate", "is deactivated"), ("reactivate", "is active again")):
        assert done("tenant", verb, slug, bob.upper()) == f"{bob.upper()} {says} in {slug}\n"
    assert done("tenant", "remove-member", slug, bob) == f"{bob} is no member any more in {slug}\n"
    for verb in ("deactivate", "reactivate", "remove-member"):
        assert "is not a member of this tenant" in refused("tenant", verb, slug, bob)
        assert "There is no tenant 'none-such'" in refused("tenant", verb, "none-such", bob)


def test_the_last_owner_stays_and_an_inactive_member_is_told_of(slug: str) -> None:
    olga, bob = f"olga@{slug}.example", f"bob@{slug}.example"
    for verb in ("deactivate", "remove-member"):
        assert "last active owner" in refused("tenant", verb, slug, olga)
    assert "last active owner" in refused("tenant", "member", slug, olga, "--role", "viewer")
    done("tenant", "deactivate", slug, bob)
    assert "reactivate them first" in refused("tenant", "member", slug, bob, "--role", "owner")


@pytest.mark.parametrize("base_url", ["", "http://localhost:8000"])
def test_an_invitation_says_when_nobody_told_where_its_link_leads(
    slug: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], base_url: str
) -> None:
    monkeypatch.setenv("BASE_URL", base_url)
    done("tenant", "invite", slug, f"ina@{slug}.example", "--role", "reviewer")

    assert ("BASE_URL is not set" in capsys.readouterr().err) is (not base_url)


def test_an_invitation_prints_its_link(slug: str) -> None:
    link = done("tenant", "invite", slug, f"ina@{slug}.example", "--role", "reviewer").strip()

    before, token = link.removesuffix("/").rsplit("/", 1)
    assert before == f"{settings.BASE_URL}/accounts/invitations"
    assert invitations.find(token).email == f"ina@{slug}.example"
    assert "is a member already" in refused("tenant", "invite", slug, f"bob@{slug}.example", "--role", "owner")


def test_a_team_is_renamed_and_deleted(slug: str) -> None:
    done("tenant", "team", slug, "credit", "--member", f"bob@{slug}.example")
    assert f"team loans of {slug}" in done("tenant", "team", slug, "credit", "--rename-to", "loans")
    assert "There is no team 'credit'" in refused("tenant", "delete-team", slug, "credit")
    assert done("tenant", "delete-team", slug, "loans") == f"team loans of {slug} is gone\n"
    with tenant_scope(tenants.by_slug(slug).id):
        assert not Team.objects.exists()


def test_a_key_is_listed_replaced_and_revoked(slug: str) -> None:
    bob = f"bob@{slug}.example"
    text = done("apikey", "create", slug, "--name", "ci", "--scopes", "runs:read", "--as", bob).strip()
    listed = done("apikey", "list", slug)
    assert text not in listed
    key_id, prefix, *rest = listed.strip().split("\t")
    assert text.startswith(prefix)
    assert rest == ["active", "ci", bob, "runs:read", "used never"]

    successor = done("apikey", "rotate", slug, prefix, "--overlap-hours", "1").strip()
    assert api_keys.authenticate(text).user_id == api_keys.authenticate(successor).user_id
    assert "active until" in done("apikey", "list", slug)
    assert "used 2" in done("apikey", "list", slug)

    assert done("apikey", "revoke", slug, key_id) == f"key {prefix}… of {slug} is revoked\n"
    with pytest.raises(BadKey):
        api_keys.authenticate(text)
    assert "revoked" in done("apikey", "list", slug)
    assert "has a successor already" in refused("apikey", "rotate", slug, key_id)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("revoke", "cs_nothing"), "There is no key 'cs_nothing'"),
        (("rotate", "cs_nothing"), "There is no key 'cs_nothing'"),
    ],
)
def test_a_key_that_is_none_is_refused_with_a_sentence(slug: str, arguments: tuple[str, str], says: str) -> None:
    verb, key = arguments
    assert says in refused("apikey", verb, slug, key)


def test_times_that_are_none_are_refused_with_a_sentence(slug: str) -> None:
    create = ("apikey", "create", slug, "--name", "x", "--scopes", "runs:read", "--as", f"bob@{slug}.example")
    assert "in the future" in refused(*create, "--days", "0")
    assert "longer than time" in refused(*create, "--days", "9999999999")
    done(*create, "--days", "30")
    _, prefix, *_ = done("apikey", "list", slug).split("\t")
    assert "30 days" in refused("apikey", "rotate", slug, prefix, "--overlap-hours", "721")
    assert "30 days" in refused("apikey", "rotate", slug, prefix, "--overlap-hours", "-1")


def test_another_tenants_key_and_member_are_none(slug: str) -> None:
    other = f"t{new_id().hex[-12:]}"
    tenants.create(slug=other, acting_as=COMMAND)
    done("apikey", "create", slug, "--name", "ci", "--scopes", "runs:read", "--as", f"bob@{slug}.example")
    key_id, *_ = done("apikey", "list", slug).split("\t")

    assert done("apikey", "list", other) == ""
    assert f"There is no key '{key_id}'" in refused("apikey", "revoke", other, key_id)
    assert "is not a member of this tenant" in refused("tenant", "remove-member", other, f"bob@{slug}.example")


def test_staff_are_made_and_look_for_a_reason(slug: str, process_environment: dict[str, str]) -> None:
    sam = f"sam@staff-{slug}.example"
    assert done("staff", "add", sam, "--password-stdin", stdin=f"{GOOD}\n") == f"{sam} is platform staff\n"
    assert User.objects.get(email=sam).check_password(GOOD)
    assert f"{sam}\n" in done("staff", "list")
    assert "add one first" in refused("staff", "open", slug, sam, "--reason-stdin", stdin="Ticket 4711, a run hangs")
    add_factor(User.objects.get(email=sam))

    opening = [sys.executable, str(settings.BASE_DIR / "manage.py"), "staff", "open", slug, sam, "--reason-stdin"]
    opened = subprocess.run(
        opening, env=process_environment, input="Ticket 4711, a run hangs", capture_output=True, text=True, timeout=120
    )
    assert (opened.returncode, opened.stderr) == (0, "")
    assert opened.stdout.startswith(f"{sam} may read {slug} until 2")
    assert "open already" in refused("staff", "open", slug, sam, "--reason-stdin", stdin="Ticket 4711, again")
    assert done("staff", "close", slug, sam) == f"{sam} may read {slug} no more\n"
    assert "Nothing of" in refused("staff", "close", slug, sam)
    assert done("staff", "remove", sam) == f"{sam} is platform staff no more\n"
    assert "not one of the platform's staff" in refused("staff", "remove", sam)


def test_an_access_without_reason_or_for_too_long_is_refused(slug: str) -> None:
    sam = f"sam@staff-{slug}.example"
    done("staff", "add", sam)

    assert "10 to 2000 characters" in refused("staff", "open", slug, sam, "--reason-stdin", stdin=" ")
    assert "four hours" in refused("staff", "open", slug, sam, "--reason-stdin", "--hours", "5", stdin="Ticket 4711!")
    assert "--reason-stdin" in refused("staff", "open", slug, sam)
    assert "There is no tenant" in refused("staff", "open", "none-such", sam, "--reason-stdin", stdin="Ticket 4711!")
