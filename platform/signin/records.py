"""One record in the journal for each thing that happens to somebody's way in.

It concerns every tenant the person belongs to, so each of these gets the record in its own journal; a session that came
through a tenant's identity provider, which the facts name, is that tenant's alone. Those of nobody's account, or of
somebody in no tenant, go to the platform's own. A change is made inside `together`: one transaction with its records.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from uuid import UUID

from allauth.account.internal.flows.login import get_authentication_records
from allauth.account.signals import password_changed, password_reset
from allauth.core import context
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authentication_failed
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from django.http import HttpRequest

from audit import journal
from audit.canonical import Json
from audit.journal import Outcome
from db.scope import PLATFORM, tenant_scope
from quotas.addresses import client_address
from signin.reach import Reach, reach_at_sign_in, reach_of
from tenants.actions.members import tenants_of
from tenants.models import User
from tenants.principal import COMMAND

ANONYMOUS = "anonymous"

#: Why a session ended, when its person didn't sign out; the middleware leaves it on the request.
ENDED_BY = "signin_ended_by"


# --- coming in ------------------------------------------------------------------------------------------------------


@receiver(user_logged_in)
def succeeded(request: HttpRequest, user: User, **_: Any) -> None:
    """Record who came in, and by which steps."""
    steps = [str(step.get("type") or step["method"]) for step in get_authentication_records(request, user)]
    write("login.succeeded", user, request, facts={"steps": steps}, reach=reach_at_sign_in(request, user))


@receiver(user_logged_out)
def ended(request: HttpRequest, user: User | None, **_: Any) -> None:
    """Record who left, and whether it was time that sent them; a session that was gone already leaves nothing."""
    if user is not None:
        by = getattr(request, ENDED_BY, "person")
        write("login.ended", user, request, facts={"by": by}, reach=reach_of(request, user))


@receiver(user_login_failed)
def failed(credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    """Record that a password was refused. What was typed is not kept: it may be a password in the wrong field."""
    email = str(credentials.get("email") or credentials.get("username") or "").strip().lower()
    user = User.objects.filter(email=email).first()
    write("login.failed", user, request, actor=ANONYMOUS, facts={"step": "password"}, outcome="denied")


@receiver(authentication_failed)
def code_failed(request: HttpRequest, user: User, **_: Any) -> None:
    """Record that a code was refused."""
    write("login.failed", user, request, actor=ANONYMOUS, facts={"step": "code"}, outcome="denied")


def throttled(request: HttpRequest, user: User | None, *, of: str, budget: str) -> None:
    """Record that guesses are no longer looked at; whose call this is sees to it that it is told once a window."""
    facts: dict[str, Json] = {"step": of, "budget": budget}
    write("login.throttled", user, request, actor=ANONYMOUS, facts=facts, outcome="denied")


# --- what one comes in with -----------------------------------------------------------------------------------------


@receiver(password_changed)
def changed(request: HttpRequest, user: User, **_: Any) -> None:
    """Record a new password of somebody who knew the former one."""
    write("password.changed", user, request)


@receiver(password_reset)
def was_reset(request: HttpRequest, user: User, **_: Any) -> None:
    """Record a new password of somebody who had the link."""
    write("password.reset", user, request)


@receiver(post_save, sender=Authenticator)
def factor_added(instance: Authenticator, created: bool, **_: Any) -> None:
    """Record a second factor, or a new set of recovery codes."""
    if created and instance.type == Authenticator.Type.RECOVERY_CODES:
        write("recovery_codes.made", instance.user, context.request)
    elif created:
        write("second_factor.added", instance.user, context.request, facts={"type": str(instance.type)})


@receiver(post_delete, sender=Authenticator)
def factor_removed(instance: Authenticator, **_: Any) -> None:
    """Record the end of a second factor; recovery codes go with the last one, or make room for new ones."""
    if instance.type != Authenticator.Type.RECOVERY_CODES:
        write("second_factor.removed", instance.user, context.request, facts={"type": str(instance.type)})


def revoked(user: User, *, sessions: list[int]) -> None:
    """Record that sessions were ended from another one; they are named by their ids."""
    write("session.revoked", user, context.request, facts={"sessions": sessions})


# --- writing --------------------------------------------------------------------------------------------------------

_concerned: ContextVar[dict[UUID, list[UUID]] | None] = ContextVar("signin_concerned", default=None)


@contextmanager
def together(user: User) -> Iterator[None]:
    """Run the block as one transaction with the records of what it changes about the person's way in.

    Which tenants that concerns is looked up across tenants first, which no open transaction may do.
    """
    token = _concerned.set({user.id: [tenant_id for tenant_id, _ in tenants_of(user.id)]})
    try:
        with transaction.atomic():
            yield
    finally:
        _concerned.reset(token)


def write(
    action: str,
    user: User | None,
    request: HttpRequest | None,
    *,
    actor: str | None = None,
    facts: dict[str, Json] | None = None,
    outcome: Outcome = "ok",
    reach: Reach | None = None,
) -> None:
    """Write one record into each journal the person's way in concerns.

    actor: the person when None; without a request, the command. reach: that of the session, where it is about one.
    """
    tenants = _tenants(user, reach)
    if reach and reach.providers:
        facts = {**(facts or {}), "providers": [str(each) for each in reach.providers]}
    payload: Json = {"address": client_address(request)} if request is not None else None
    who = actor or (f"user:{user.id}" if user and request is not None else COMMAND)
    with transaction.atomic():
        for tenant_id in tenants or [PLATFORM]:
            with tenant_scope(tenant_id):
                journal.record(
                    action,
                    stream=user.id if user else PLATFORM,
                    actor=who,
                    subject=f"user:{user.id}" if user else None,
                    facts=facts,
                    payload=payload,
                    outcome=outcome,
                )


def _tenants(user: User | None, reach: Reach | None) -> list[UUID]:
    if reach is not None:
        return [tenant_id for tenant_id, _ in reach.tenants()]
    if user is None:
        return []
    known = (_concerned.get() or {}).get(user.id)
    return [tenant_id for tenant_id, _ in tenants_of(user.id)] if known is None else known
