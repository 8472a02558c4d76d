"""What the tests of sign-in do as people do it, and what they read in journals and in the mail."""

import re
import time
from typing import Any
from uuid import UUID

from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.core import mail
from django.core.cache import cache
from django.db import connection
from django.test import Client

from db.scope import PLATFORM, tenant_scope
from signin import letters
from tests.console.conftest import PASSWORD, email
from tests.worlds import World

Told = tuple[str, str, dict[str, Any]]


def attempt(login: str, password: str, client: Client | None = None, address: str = "192.0.2.1") -> Any:
    """Fill in the sign-in page, in a browser never seen before unless one is given."""
    there = client or Client()
    return there.post("/accounts/login/", {"login": login, "password": password}, REMOTE_ADDR=address)


def is_in(client: Client) -> bool:
    """Say whether the browser is signed in."""
    return bool(client.get("/accounts/").status_code == 200)


def again(client: Client, password: str = PASSWORD) -> None:
    """Show once more who it is."""
    assert client.post("/accounts/reauthenticate/", {"password": password, "next": "/accounts/"}).status_code == 302


def code(secret: str, *, ahead: int = 0) -> str:
    """Return what an authenticator app shows now, or so many codes ahead."""
    shown: str = format_hotp_value(hotp_value(secret, int(time.time()) // 30 + ahead))
    return shown


def add_totp(client: Client, *, long_ago: bool = True) -> tuple[str, list[str]]:
    """Set up an authenticator app; returns its secret and the recovery codes that came with it.

    long_ago: what it showed then is forgotten, as it is after some minutes.
    """
    again(client)
    page = client.get("/accounts/2fa/totp/activate/").content.decode()
    found = re.search(r"<code>([A-Z2-7]{32})</code>", page)
    assert found is not None
    shown = code(found[1])
    done = client.post("/accounts/2fa/totp/activate/", {"code": shown}, follow=True)
    if long_ago:
        cache.delete(f"signin:code:{client.session['_auth_user_id']}:{shown}")
    return found[1], re.findall(r"<code>(\d{10})</code>", done.content.decode())


def told(scope: UUID, stream: UUID) -> list[Told]:
    """Return (action, outcome, facts) of what a journal tells of somebody's way in."""
    with tenant_scope(scope), connection.cursor() as cursor:
        cursor.execute(
            "SELECT action, outcome, facts FROM audit_record WHERE tenant_id = %s AND stream = %s ORDER BY id",
            [scope, stream],
        )
        return [(action, outcome, facts) for action, outcome, facts in cursor.fetchall()]


def told_of(world: World, name: str = "alice") -> list[Told]:
    """Return the same of a member in their tenant's journal."""
    return told(world.tenant_id, getattr(world, name).user_id)


def actions(world: World, name: str = "alice") -> list[str]:
    """Return the actions alone."""
    return [action for action, _, _ in told_of(world, name)]


def everything(scope: UUID = PLATFORM) -> str:
    """Return all that a journal holds, as text."""
    with tenant_scope(scope), connection.cursor() as cursor:
        cursor.execute("SELECT facts::text FROM audit_record UNION ALL SELECT value FROM audit_payload")
        return "".join(str(row[0]) for row in cursor.fetchall())


def deliver() -> list[Any]:
    """Wait until every letter was sent; returns those that were since the last time."""
    letters.office().submit(int).result()
    sent = list(mail.outbox)
    mail.outbox.clear()
    return sent


def link_in(letter: Any) -> str:
    """Return the path of the link in a letter."""
    found = re.search(r"http://localhost:8000(/\S+)", letter.body)
    assert found is not None
    return found[1]


def new_password_by_link(world: World, name: str, password: str, client: Client) -> Any:
    """Ask for a link, follow it, and set a password."""
    deliver()
    client.post("/accounts/password/reset/", {"email": email(world, name)})
    (letter,) = deliver()
    page = client.get(link_in(letter), follow=True)
    return client.post(page.redirect_chain[-1][0], {"password1": password, "password2": password}, follow=True)
