"""Every command that takes a tenant, tried in one tenant with what is another's: as if that did not exist."""

import re
import sys
from argparse import ArgumentParser, _SubParsersAction
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from unittest.mock import patch
from uuid import uuid4

import pytest
import yaml
from django.apps import apps
from django.core.management import CommandError, call_command, get_commands, load_command_class
from django.db import connection, connections
from pytest_django.plugin import DjangoDbBlocker

from agents.actions import tools
from db.scope import tenant_scope
from db.tables import listed
from escalations.actions import queues
from tenants.actions import teams
from tenants.models import ApiKey
from tenants.principal import COMMAND
from tests.isolation.peopling import peopled
from tests.worlds import LOOKUP, World
from vault.actions import secrets

pytestmark = pytest.mark.usefixtures("database")

OURS = {config.name for config in apps.get_app_configs() if "site-packages" not in config.path}

#: Commands, with their verbs, that concern the installation and name no tenant.
OF_THE_INSTALLATION = {
    "demo",
    "docs",
    "migrate",
    "partitions",
    "qcluster",
    "seal",
    "second_factor remove",
    "secret forget",
    "secret keys",
    "secret rotate",
    "staff add",
    "staff list",
    "staff remove",
    "temporal_worker",
    "tenant create",
    "tenant list",
    "up",
    "web",
}


@dataclass(frozen=True, slots=True)
class Names:
    """What a tenant calls its own, each name in no other tenant."""

    email: str
    team: str
    key: str
    name: str

    @classmethod
    def of(cls, tenant: World) -> "Names":
        """Make a team, a tool and a secret of a name nobody else has, and return the names."""
        name = f"n{uuid4().hex[:12]}"
        email = f"bob@{tenant.slug}.example"
        teams.put(tenant_id=tenant.tenant_id, slug=name, emails=[email], acting_as=COMMAND)
        with tenant_scope(tenant.tenant_id):
            tools.put(name, LOOKUP, acting_as=COMMAND)
            secrets.put(name, "long enough", acting_as=COMMAND)
            queues.put(name, {}, acting_as=COMMAND)
            key = ApiKey.objects.order_by("created_at")[0]
        return cls(email, name, str(key.id), name)

    @classmethod
    def of_nobody(cls) -> "Names":
        """Return names of the same shapes."""
        name = f"n{uuid4().hex[:12]}"
        return cls(f"bob@t{uuid4().hex[:12]}.example", name, str(uuid4()), name)

    def taken_out(self, text: str) -> str:
        """Return the text without these names."""
        for value in (self.email, self.email.partition("@")[2], self.key, self.name):
            text = text.replace(value, "…")
        return text


def documents(name: Names, path: Path) -> Path:
    """Write configuration that needs each of the names."""
    texts = [
        {"kind": "Agent", "metadata": {"name": "reads"}, "spec": {"role": "R", "model": MODEL, "tools": [name.name]}},
        {"kind": "Queue", "metadata": {"name": "works"}, "spec": {"members": [name.email], "teams": []}},
        {"kind": "Queue", "metadata": {"name": "works2"}, "spec": {"members": [], "teams": [name.team]}},
        {"kind": "Tool", "metadata": {"name": "own"}, "spec": {**LOOKUP, "grants": [{"user": name.email, **USE}]}},
        {"kind": "Tool", "metadata": {"name": "own2"}, "spec": {**LOOKUP, "grants": [{"team": name.team, **USE}]}},
    ]
    path.write_text("\n---\n".join(yaml.safe_dump({"apiVersion": "countersign/v1", **text}) for text in texts))
    return path


MODEL = {"id": "claude-opus-4-7"}
USE = {"permission": "use"}

#: Command and verb → its arguments in the tenant `slug` with somebody's names.
CALLS: dict[str, Callable[[str, Names, Path], list[str]]] = {
    "apikey create": lambda slug, name, _: [slug, "--name", "k", "--scopes", "runs:read", "--as", name.email],
    "apikey list": lambda slug, *_: [slug],
    "apikey revoke": lambda slug, name, _: [slug, name.key],
    "apikey rotate": lambda slug, name, _: [slug, name.key],
    "audit export": lambda slug, name, path: ["--tenant", slug, "--out", str(path.parent / name.name)],
    "audit erasures": lambda slug, *_: ["--tenant", slug],
    "audit holds": lambda slug, *_: ["--tenant", slug],
    "audit retention": lambda slug, *_: ["--tenant", slug, "--count"],
    "audit subjects": lambda slug, *_: ["--tenant", slug, "--renew-key"],
    "audit vkey": lambda slug, *_: ["--tenant", slug],
    "audit story": lambda slug, name, _: ["--tenant", slug, name.key],
    "config apply": lambda slug, name, path: ["--tenant", slug, "--publish", str(documents(name, path))],
    "config export": lambda slug, *_: ["--tenant", slug],
    "config plan": lambda slug, name, path: ["--tenant", slug, str(documents(name, path))],
    "secret delete": lambda slug, name, _: [slug, name.name],
    "secret list": lambda slug, *_: [slug],
    "secret set": lambda slug, name, _: [slug, name.name, "--stdin"],
    # Not with the other's domain: a domain is one tenant's, and who runs the installation is told so.
    "sso allow": lambda slug, name, _: [slug, f"{name.name}.example"],
    "sso domains": lambda slug, *_: [slug],
    "sso release": lambda slug, name, _: [slug, name.email],
    "sso withdraw": lambda slug, name, _: [slug, name.email.partition("@")[2]],
    "staff close": lambda slug, name, _: [slug, name.email],
    "staff open": lambda slug, name, _: [slug, name.email, "--reason-stdin"],
    "tenant deactivate": lambda slug, name, _: [slug, name.email],
    "tenant delete-team": lambda slug, name, _: [slug, name.team],
    "tenant invite": lambda slug, name, _: [slug, name.email, "--role", "viewer"],
    "tenant member": lambda slug, name, _: [slug, name.email, "--role", "viewer"],
    "tenant members": lambda slug, *_: [slug],
    "tenant mfa": lambda slug, *_: [slug, "optional"],
    "tenant reactivate": lambda slug, name, _: [slug, name.email],
    "tenant remove-member": lambda slug, name, _: [slug, name.email],
    "tenant team": lambda slug, name, _: [slug, "crew", "--member", name.email],
}

#: What these say anew each time: a key, a link, a public name, a time.
_MADE_UP = re.compile(
    r"cs_\S+|https?://\S+|[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|\d{4}-\d\d-\d\d(?: \d\d:\d\d)?\S*"
)


def verbs() -> Iterator[str]:
    """Yield every command of ours with each of its verbs."""
    for name, app in get_commands().items():
        if app not in OURS:
            continue
        parser: ArgumentParser = load_command_class(str(app), name).create_parser("manage.py", name)
        choices = [
            verb for action in parser._actions if isinstance(action, _SubParsersAction) for verb in action.choices
        ]
        yield from (f"{name} {verb}" for verb in choices) if choices else (name,)


def test_every_command_is_known() -> None:
    assert set(verbs()) == OF_THE_INSTALLATION | set(CALLS)


@pytest.fixture(scope="module")
def other(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[tuple[World, Names]]:
    """Another tenant, with its names."""
    with django_db_blocker.unblock():
        made = peopled()
        yield made, Names.of(made)
        connections.close_all()


@pytest.mark.parametrize("call", CALLS)
def test_in_one_tenant_what_is_anothers_does_not_exist(call: str, other: tuple[World, Names], tmp_path: Path) -> None:
    theirs, (there, taken) = Names.of_nobody(), other
    # Two tenants alike, as trying with one's names must not change what trying with the other's finds.
    here, twin = peopled(), peopled()
    before = fingerprint(there)

    with_anothers = said(call, here, taken, tmp_path / "one.yaml")
    with_nobodys = said(call, twin, theirs, tmp_path / "two.yaml")

    assert plain(with_anothers, here, taken) == plain(with_nobodys, twin, theirs)
    assert fingerprint(there) == before
    assert there.slug not in taken.taken_out(with_anothers)


def said(call: str, here: World, names: Names, path: Path) -> str:
    """Return what the command writes, and how it ends."""
    out, (command, *verb) = StringIO(), call.split(" ")
    arguments = [*verb, *CALLS[call](here.slug, names, path)]
    with patch.object(sys, "stdin", StringIO("a reason that is a value")):
        try:
            call_command(command, *arguments, stdout=out, stderr=out)
        except CommandError as error:
            return f"{out.getvalue()}{error}"
        except SystemExit as ended:
            return f"{out.getvalue()}{ended}"
    return out.getvalue()


def plain(text: str, here: World, names: Names) -> str:
    """Return what was written without what is made up anew, and without the names that were given."""
    text = names.taken_out(text).replace(here.slug, "here").replace("one.yaml", "").replace("two.yaml", "")
    return _MADE_UP.sub("…", text)


def fingerprint(of: World) -> dict[str, str]:
    """Return a digest of every row the tenant has."""
    found = {}
    with tenant_scope(of.tenant_id), connection.cursor() as cursor:
        for table in listed().values():
            if table.tenant is not None and "SELECT" in table.app:
                cursor.execute(f"SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM {table.name} t")  # noqa: S608
                found[table.name] = cursor.fetchone()[0]
    return found


def test_an_export_holds_nothing_of_another_tenant(other: tuple[World, Names], tmp_path: Path) -> None:
    there, names = other
    here = peopled()

    for call in ("config export", "apikey list", "secret list", "tenant members", "sso domains"):
        text = said(call, here, names, tmp_path / "x.yaml")
        assert text, call
        for value in (there.slug, names.name, names.key):
            assert value not in text, call
