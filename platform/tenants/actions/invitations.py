"""Invite people by e-mail, and let them in. Whether one may invite is for the caller to check (`admin`).

The token travels in the link alone, so who follows it reads that mailbox. It is therefore never shown to the one who
invites: with it an owner could open an account in somebody else's name.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone

from audit import journal
from db.roles import dispatch
from db.scope import tenant_scope
from tenants.actions import members
from tenants.actions.owners import changing_people
from tenants.errors import (
    AlreadyMember,
    AnothersInvitation,
    ExpiredInvitation,
    InvitationEnded,
    MemberInactive,
    UnknownInvitation,
)
from tenants.models import Invitation, Membership, Role, Tenant, User

LIFETIME: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Found:
    """A pending invitation, as the one who holds its token may see it."""

    tenant_id: UUID
    invitation_id: UUID
    email: str
    role: Role
    tenant_name: str


def invite(*, tenant_id: UUID, email: str, role: Role, acting_as: str) -> tuple[Invitation, str]:
    """Invite a person; returns the invitation with its token, which is kept nowhere and belongs into the mail alone.

    A pending invitation to the same address is withdrawn: its link works no more. Raises `BadEmail`, `AlreadyMember`,
    `MemberInactive`, `NotAnOwner`.
    """
    address = members.check_address(email)
    token = secrets.token_urlsafe(32)
    with changing_people(tenant_id, acting_as):
        _check_stranger(address)
        pending = Invitation.objects.filter(email=address, accepted_at=None, revoked_at=None)
        replaced = list(pending.values_list("id", flat=True))
        pending.update(revoked_at=Now())
        invitation = Invitation.objects.create(
            email=address,
            role=role,
            digest=_digest(token),
            invited_by=_inviter(acting_as),
            expires_at=timezone.now() + LIFETIME,
        )
        journal.record(
            "invitation.made",
            stream=invitation.id,
            actor=acting_as,
            facts={"role": str(role), "replaces": [f"invitation:{each}" for each in replaced]},
            payload={"email": address},
        )
    return invitation, token


def _inviter(actor: str) -> User | None:
    kind, _, user_id = actor.partition(":")
    return User.objects.get(id=user_id) if kind == "user" else None


def _check_stranger(address: str) -> None:
    present = Membership.objects.filter(user__email=address).first()
    if present is None:
        return
    if not present.is_active:
        raise MemberInactive
    raise AlreadyMember(f"{address} is a member already.")


def revoke(invitation: Invitation, *, acting_as: str) -> None:
    """Withdraw a pending invitation. Raises `InvitationEnded`, `UnknownInvitation`, `NotAnOwner`."""
    with changing_people(invitation.tenant_id, acting_as):
        present = _locked(invitation.id)
        if present.accepted_at or present.revoked_at:
            raise InvitationEnded
        present.revoked_at = timezone.now()
        present.save(update_fields=["revoked_at"])
        journal.record("invitation.revoked", stream=present.id, actor=acting_as, facts={"role": str(present.role)})


def find(token: str) -> Found:
    """Return the pending invitation with that token, of whichever tenant. Works outside any scope.

    Raises `UnknownInvitation` when there never was one, or it was used or withdrawn; `ExpiredInvitation`.
    """
    tenant_id, invitation_id = _place(token)
    with tenant_scope(tenant_id):
        invitation = _pending(Invitation.objects.filter(id=invitation_id).first())
        name = Tenant.objects.get(id=tenant_id).name
    return Found(tenant_id, invitation_id, invitation.email, Role(invitation.role), name)


def accept(token: str, *, user_id: UUID) -> Membership:
    """Make the user a member as invited, and use the invitation up. Works outside any scope.

    The account's address must be the one invited. Raises `UnknownInvitation`, `ExpiredInvitation`,
    `AnothersInvitation`, `AlreadyMember`, `MemberInactive`.
    """
    tenant_id, invitation_id = _place(token)
    actor = f"user:{user_id}"
    with changing_people(tenant_id, "system:invitation"):
        invitation = _pending(_locked(invitation_id))
        user = User.objects.filter(id=user_id, is_active=True, is_service=False).first()
        if user is None or user.email != invitation.email:
            raise AnothersInvitation
        _check_stranger(user.email)
        membership = Membership.objects.create(user=user, role=invitation.role)
        invitation.accepted_at = timezone.now()
        invitation.save(update_fields=["accepted_at"])
        journal.record(
            "member.added",
            stream=membership.id,
            actor=actor,
            subject=actor,
            facts={
                "role": str(membership.role),
                "before": None,
                "password_set": False,
                "invitation": f"invitation:{invitation.id}",
            },
        )
    return membership


def _place(token: str) -> tuple[UUID, UUID]:
    if not token.isascii():
        raise UnknownInvitation
    with dispatch(), connection.cursor() as cursor:
        cursor.execute("SELECT tenant_id, id FROM tenants_invitation WHERE digest = %s", [_digest(token)])
        row: tuple[UUID, UUID] | None = cursor.fetchone()
    if row is None:
        raise UnknownInvitation
    return row


def _locked(invitation_id: UUID) -> Invitation:
    present = Invitation.objects.select_for_update().filter(id=invitation_id).first()
    if present is None:
        raise UnknownInvitation
    return present


def _pending(invitation: Invitation | None) -> Invitation:
    if invitation is None or invitation.accepted_at or invitation.revoked_at:
        raise UnknownInvitation
    if invitation.expires_at <= timezone.now():
        raise ExpiredInvitation
    return invitation


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
