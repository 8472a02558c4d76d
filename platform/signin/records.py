"""One record in the journal for each sign-in, sign-out and refused sign-in.

A person's sign-ins concern every tenant they belong to, so each of these gets the record in its own journal. Those of
nobody's account, or of somebody in no tenant, go to the platform's own.
"""

from typing import Any
from uuid import UUID

from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db import transaction
from django.dispatch import receiver
from django.http import HttpRequest

from audit import journal
from audit.journal import Outcome
from db.scope import PLATFORM, tenant_scope
from tenants.actions.members import tenants_of
from tenants.models import User

ANONYMOUS = "anonymous"


@receiver(user_logged_in)
def succeeded(request: HttpRequest, user: User, **_: Any) -> None:
    """Record who came in."""
    _record("login.succeeded", user, request, actor=f"user:{user.id}")


@receiver(user_logged_out)
def ended(request: HttpRequest, user: User | None, **_: Any) -> None:
    """Record who left; a session that had run out leaves nothing to tell."""
    if user is not None:
        _record("login.ended", user, request, actor=f"user:{user.id}")


@receiver(user_login_failed)
def failed(credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    """Record that somebody was refused. What was typed is not kept: it may be a password in the wrong field."""
    email = str(credentials.get("email") or credentials.get("username") or "").strip().lower()
    user = User.objects.filter(email=email).first()
    _record("login.failed", user, request, actor=ANONYMOUS, outcome="denied")


def _record(
    action: str, user: User | None, request: HttpRequest | None, *, actor: str, outcome: Outcome = "ok"
) -> None:
    tenants: list[UUID] = [tenant_id for tenant_id, _ in tenants_of(user.id)] if user else []
    payload = {"address": request.META.get("REMOTE_ADDR", "")} if request is not None else None
    with transaction.atomic():
        for tenant_id in tenants or [PLATFORM]:
            with tenant_scope(tenant_id):
                journal.record(
                    action,
                    stream=user.id if user else PLATFORM,
                    actor=actor,
                    subject=f"user:{user.id}" if user else None,
                    payload=payload,
                    outcome=outcome,
                )
