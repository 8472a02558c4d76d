"""Puts the demo's tenants, people, secrets, sources and agents in place. Repeating it changes only what differs."""

import io
import tempfile
from pathlib import Path
from string import Template
from typing import Final

from django.conf import settings
from django.core.management import call_command

from db.scope import tenant_scope
from ops.demo import cast, functions, sales
from tenants.actions import members, teams, tenants
from tenants.errors import UnknownMember, UnknownTenant
from tenants.models import Membership, Tenant
from tenants.principal import COMMAND
from vault.actions import secrets
from vault.errors import UnknownSecret

DEFINITIONS: Final = Path(__file__).parent / "definitions"
SCRIPTS: Final = Path(__file__).parent / "scripts"
PLUGIN: Final = Path(__file__).parent / "plugin"
"""On the path of a process it makes the tool functions known there, as an installed package would."""

FUNCTIONS: Final = functions
"""Imported, and so known, in the process that applies the definitions."""

SECRET: Final = "demo_service"  # noqa: S105 - its name


def seed(service_url: str) -> None:
    """Put everything in place. service_url: where the tools find the demo's service."""
    password = cast.password(settings.SECRET_KEY)
    for slug, name in cast.TENANTS.items():
        tenant = _tenant(slug, name)
        for member in cast.members():
            if member.tenant == slug:
                _put_member(tenant, member, password)
        teams.put(tenant_id=tenant.id, slug=cast.DESK, name="Desk", emails=[cast.developer(slug)], acting_as=COMMAND)
        _put_secret(tenant, cast.service_token(settings.SECRET_KEY, slug))
        sales.write(settings.DATA_DIR / "sources" / str(tenant.id) / sales.NAME, slug)
        _apply(slug, service_url)


def _tenant(slug: str, name: str) -> Tenant:
    try:
        return tenants.by_slug(slug)
    except UnknownTenant:
        return tenants.create(slug=slug, name=name, acting_as=COMMAND)


def _put_member(tenant: Tenant, member: cast.Member, password: str) -> None:
    with tenant_scope(tenant.id):
        try:
            user = members.by_email(member.email)
        except UnknownMember:
            user = None
        role = None if user is None else Membership.objects.get(user=user).role
    # Also when somebody changed it: what the demo prints must open the door.
    if user is None or role != member.role or not user.check_password(password):
        members.put(tenant=tenant, email=member.email, role=member.role, password=password, acting_as=COMMAND)


def _put_secret(tenant: Tenant, value: str) -> None:
    with tenant_scope(tenant.id):
        try:
            kept = secrets.reveal(SECRET)
        except UnknownSecret:
            kept = None
        if kept != value:
            secrets.put(SECRET, value, acting_as=COMMAND)


def _apply(slug: str, service_url: str) -> None:
    """Apply the definitions as an operator would: files, `config apply --publish`."""
    with tempfile.TemporaryDirectory(prefix="countersign-demo-") as folder:
        files = []
        for template in sorted(DEFINITIONS.glob("*.yaml")):
            text = Template(template.read_text()).substitute(tenant=slug, service=f"{service_url}/{slug}")
            file = Path(folder) / template.name
            file.write_text(text)
            files.append(str(file))
        call_command("config", "apply", "--tenant", slug, "--publish", *files, stdout=io.StringIO())
