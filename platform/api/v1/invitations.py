"""Invitations: how new members come. The link goes by e-mail to the one invited, and nowhere else."""

from typing import Any

from django.http import HttpResponse
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from api.bodies import Body
from api.queries import Page, Query
from api.schema import PAGING, call, component, nullable, page_of
from api.v1.members import ROLE
from api.views import View, found, identifier
from signin import mail
from tenants.actions import invitations, tenants
from tenants.models import Invitation, Role

Json = Any

_TIME = {"type": "string", "format": "date-time"}
_FIELDS: dict[str, Json] = {
    "id": {"type": "string", "format": "uuid"},
    "email": {"type": "string"},
    "role": ROLE,
    "status": {"type": "string", "enum": ["pending", "accepted", "revoked", "expired"]},
    "invited_by": nullable({"type": "string", "description": "E-mail address; null for a command."}),
    "created_at": _TIME,
    "expires_at": _TIME,
}
_MAILED = (
    "Whether the link was handed to the mail server. If not, invite again when mail works, or have whoever runs the"
    " installation make a link with `manage.py tenant invite`, to hand over."
)
_INVITATION = component("Invitation", _FIELDS)
_MADE = component(
    "NewInvitation",
    {**_FIELDS, "mailed": {"type": "boolean", "description": _MAILED}},
)
_PAGE = page_of("InvitationPage", _INVITATION)
_NEW = Body(
    {
        "type": "object",
        "properties": {"email": {"type": "string", "maxLength": 254}, "role": ROLE},
        "required": ["email", "role"],
        "additionalProperties": False,
    },
    example={"email": "ada@acme.example", "role": "reviewer"},
)
_PATH = {"invitation_id": "The invitation's id."}


class Invitations(View):
    """The tenant's invitations."""

    @call("listInvitations", "List invitations, newest first", answer=_PAGE, parameters=PAGING, refusals=(400, 422))
    def get(self, request: Request) -> Response:
        """List invitations, newest first, whatever became of them."""
        self.require("admin")
        page = Page(Query(self.plain_request, ("limit", "cursor")), name=f"invitations.{self.principal.tenant_id}")
        with self.scope():
            rows = Invitation.objects.select_related("invited_by")
            return Response(page.of(rows, lambda listed: [_json(each) for each in listed]))

    @call("invite", "Invite somebody", status=201, answer=_MADE, body=_NEW, refusals=(409,))
    def post(self, request: Request) -> Response:
        """Send a person a link that makes them a member, for seven days. Inviting again replaces the link.

        The answer does not hold it: who follows it has shown to read that mailbox. Who is a member already is a 409.
        """
        self.require("admin")
        wanted = self.body(_NEW)
        with self.scope():
            tenant = tenants.by_id(self.principal.tenant_id)
            made, token = invitations.invite(
                tenant_id=tenant.id,
                email=wanted["email"],
                role=Role(wanted["role"]),
                acting_as=self.principal.actor,
            )
            shown = _json(made)
        # Outside the scope: it is committed, and no connection waits for the mail server.
        return Response({**shown, "mailed": mail.send_invitation(made, token, tenant=tenant)}, status=201)


class OneInvitation(View):
    """One invitation."""

    @call("getInvitation", "Read an invitation", answer=_INVITATION, path=_PATH, refusals=(404,))
    def get(self, request: Request, invitation_id: str) -> Response:
        """Return the invitation."""
        with self.scope():
            invitation = self._found(invitation_id)
            return Response(_json(invitation))

    @call("revokeInvitation", "Withdraw an invitation", status=204, path=_PATH, refusals=(404, 409))
    def delete(self, request: Request, invitation_id: str) -> HttpResponse:
        """Withdraw it: its link works no more. One that was accepted or withdrawn is a 409."""
        with self.scope():
            invitations.revoke(self._found(invitation_id), acting_as=self.principal.actor)
        return HttpResponse(status=204)

    def _found(self, text: str) -> Invitation:
        invitation = found(Invitation.objects.select_related("invited_by"), id=identifier(text))
        self.require("admin")
        return invitation


def _json(invitation: Invitation) -> Json:
    return {
        "id": str(invitation.id),
        "email": invitation.email,
        "role": str(invitation.role),
        "status": _status(invitation),
        "invited_by": invitation.invited_by.email if invitation.invited_by else None,
        "created_at": invitation.created_at.isoformat(),
        "expires_at": invitation.expires_at.isoformat(),
    }


def _status(invitation: Invitation) -> str:
    if invitation.accepted_at is not None:
        return "accepted"
    if invitation.revoked_at is not None:
        return "revoked"
    return "expired" if invitation.expires_at <= timezone.now() else "pending"
