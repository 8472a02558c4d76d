"""Accounts of services: they hold keys, and can neither sign in nor decide (docs/adr/0006)."""

from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from api.bodies import Body
from api.schema import ETAG, PAGING, call, component, page_of
from api.v1.members import CHANGE, FILTERS, IF_MATCH, PERSON, ROLE, People, Person, people_json
from api.views import found
from tenants.actions import members
from tenants.models import Role

Json = Any

_ACCOUNT = component("ServiceAccount", PERSON)
_PAGE = page_of("ServiceAccountPage", _ACCOUNT)
_NEW = Body(
    {
        "type": "object",
        "properties": {"name": {"type": "string", "minLength": 1, "maxLength": 200}, "role": ROLE},
        "required": ["name", "role"],
        "additionalProperties": False,
    },
    example={"name": "loan portal", "role": "developer"},
)
_PATH = {"account_id": "The account's id."}


class ServiceAccounts(People):
    """The tenant's service accounts."""

    is_service, noun = True, "service-accounts"

    @call(
        "listServiceAccounts",
        "List service accounts, newest first",
        answer=_PAGE,
        parameters=(*FILTERS, *PAGING),
        refusals=(400, 422),
    )
    def get(self, request: Request) -> Response:
        """List them, newest first."""
        return self.listed()

    @call("createServiceAccount", "Make a service account", status=201, answer=_ACCOUNT, body=_NEW)
    def post(self, request: Request) -> Response:
        """Make an account for a client application; `POST keys` with its id makes a key for it."""
        self.require("admin")
        wanted = self.body(_NEW)
        with self.scope():
            user = members.put_service(name=wanted["name"], role=Role(wanted["role"]), acting_as=self.principal.actor)
            return Response(people_json([found(self.rows(), user=user)])[0], status=201)


class OneServiceAccount(Person):
    """One service account."""

    is_service, noun = True, "service-accounts"

    @call(
        "getServiceAccount",
        "Read a service account",
        answer=_ACCOUNT,
        path=_PATH,
        parameters=(ETAG,),
        refusals=(404,),
    )
    def get(self, request: Request, account_id: str) -> Response:
        """Return the account."""
        return self.read(account_id)

    @call(
        "changeServiceAccount",
        "Change a service account",
        answer=_ACCOUNT,
        body=CHANGE,
        path=_PATH,
        parameters=(IF_MATCH, ETAG),
        refusals=(404, 412, 428),
    )
    def put(self, request: Request, account_id: str) -> Response:
        """Give it another role, deactivate or reactivate it. Deactivating revokes its keys and takes its grants."""
        return self.change(account_id)

    @call("removeServiceAccount", "Remove a service account", status=204, path=_PATH, refusals=(404,))
    def delete(self, request: Request, account_id: str) -> HttpResponse:
        """Remove it, and with it keys and grants; the journal goes on naming it by its id."""
        return self.remove(account_id)
