"""Delegations: who stands in for whom while they are away."""

from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from api.bodies import Body, instant
from api.queries import Page, Query
from api.schema import PAGING, call, component, page_of
from api.views import View, found, identifier
from escalations.actions import delegations
from escalations.models import Delegation

Json = Any

_TIME = {"type": "string", "format": "date-time"}
_MAIL = {"type": "string", "maxLength": 254}
_ADD = Body(
    {
        "type": "object",
        "properties": {
            "to": {**_MAIL, "description": "E-mail address of who stands in."},
            "of": {
                **_MAIL,
                "description": "Of whom; you when left out. Others' are for owners and operators.",
            },
            "from": _TIME,
            "until": _TIME,
        },
        "required": ["to", "from", "until"],
        "additionalProperties": False,
    },
    example={"to": "sam@acme.example", "from": "2030-07-01T00:00:00Z", "until": "2030-07-15T00:00:00Z"},
)
_DELEGATION = component(
    "Delegation",
    {
        "id": {"type": "string", "format": "uuid"},
        "of": {"type": "string"},
        "to": {"type": "string"},
        "from": _TIME,
        "until": _TIME,
        "created_at": _TIME,
    },
)
_PAGE = page_of("DelegationPage", _DELEGATION)
_PATH = {"delegation_id": "The delegation's id."}


class Delegations(View):
    """Those that concern the principal."""

    @call("listDelegations", "List delegations, newest first", answer=_PAGE, parameters=PAGING, refusals=(400, 422))
    def get(self, request: Request) -> Response:
        """List those of the principal and to them; an owner's or operator's list has all."""
        self.require("escalations:decide")
        page = Page(Query(self.plain_request, ("limit", "cursor")), name=f"delegations.{self.principal.tenant_id}")
        with self.scope():
            rows = delegations.visible(self.principal)
            return Response(page.of(rows, lambda listed: [_json(each) for each in listed]))

    @call("addDelegation", "Have somebody stand in", status=201, answer=_DELEGATION, body=_ADD)
    def post(self, request: Request) -> Response:
        """Let another member who may review decide what you may, from `from` to `until`; never what you asked for."""
        self.require("escalations:decide")
        body = self.body(_ADD)
        with self.scope():
            made = delegations.add(
                to=body["to"],
                of=body.get("of"),
                starts_at=instant(body["from"], "/from"),
                ends_at=instant(body["until"], "/until"),
                acting_as=self.principal,
            )
            return Response(_json(made), status=201)


class OneDelegation(View):
    """One delegation."""

    @call("removeDelegation", "End a delegation", status=204, path=_PATH, refusals=(404,))
    def delete(self, request: Request, delegation_id: str) -> HttpResponse:
        """End it; for who is stood in for, who stands in, owners and operators."""
        with self.scope():
            self.require("escalations:decide")
            delegation = found(delegations.visible(self.principal), id=identifier(delegation_id))
            delegations.remove(delegation.id, acting_as=self.principal)
        return HttpResponse(status=204)


def _json(delegation: Delegation) -> Json:
    return {
        "id": str(delegation.id),
        "of": delegation.user.email,
        "to": delegation.delegate.email,
        "from": delegation.starts_at.isoformat(),
        "until": delegation.ends_at.isoformat(),
        "created_at": delegation.created_at.isoformat(),
    }
