"""Members: who they are, what they are, and letting them go. New ones come by invitation (`api.v1.invitations`).

Names and roles of members are for those who name people in grants, queues and runs: operators, developers, compliance
staff and owners. Viewers and reviewers see people only where something of theirs names them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from access import permissions
from api import conditions
from api.bodies import Body
from api.errors import NotFound
from api.queries import Page, Query
from api.schema import ETAG, PAGING, call, component, header, page_of, query
from api.views import View, found, identifier
from tenants.actions import members
from tenants.errors import UnknownMember
from tenants.models import Membership, Role, TeamMember

Json = Any

ROLE = {"type": "string", "enum": list(Role.values)}
_ROLES = tuple(Role.values)
_TIME = {"type": "string", "format": "date-time"}

#: What a member and a service's account have in common.
PERSON: dict[str, Json] = {
    "id": {"type": "string", "format": "uuid", "description": "As in the journal's `user:…`."},
    "email": {"type": "string", "description": "How grants, teams and queues name them."},
    "name": {"type": "string"},
    "role": ROLE,
    "active": {"type": "boolean", "description": "False lets nobody in and nothing be done in their name."},
    "teams": {"type": "array", "items": {"type": "string"}, "description": "Slugs."},
    "added_at": _TIME,
}
_MEMBER = component(
    "Member",
    PERSON,
    example={
        "id": "0198c2a0-0000-7000-8000-000000000000",
        "email": "ada@acme.example",
        "name": "",
        "role": "reviewer",
        "active": True,
        "teams": ["credit"],
        "added_at": "2030-01-31T12:00:00+00:00",
    },
)
_PAGE = page_of("MemberPage", _MEMBER)
CHANGE = Body(
    {
        "type": "object",
        "properties": {"role": ROLE, "active": PERSON["active"]},
        "required": ["role", "active"],
        "additionalProperties": False,
    },
    example={"role": "operator", "active": True},
)
_PATH = {"member_id": "The member's id."}
FILTERS = (
    query("role", "Only those of this role.", ROLE),
    query("active", "Only the active ones, or only the others.", {"type": "string", "enum": ["true", "false"]}),
)
IF_MATCH = header("If-Match", "ETag of what is changed.")


def check_reads(view: View) -> None:
    """Raise `AccessDenied` unless the one who asks may see who is in the tenant."""
    if not permissions.can(view.principal, "admin"):
        view.require("people:read")


class People(View):
    """Memberships: of people, or with `is_service` of services."""

    is_service: ClassVar[bool] = False
    noun: ClassVar[str] = "members"

    def rows(self) -> "QuerySet[Membership]":
        """Return them; inside the scope."""
        return Membership.objects.select_related("user").filter(user__is_service=self.is_service)

    def listed(self) -> Response:
        """Return one page of them, newest first."""
        check_reads(self)
        asked = Query(self.plain_request, ("role", "active", "limit", "cursor"))
        role, active = asked.choice("role", _ROLES), asked.choice("active", ("true", "false"))
        page = Page(asked, name=f"{self.noun}.{self.principal.tenant_id}")
        with self.scope():
            rows = self.rows()
            if role is not None:
                rows = rows.filter(role=role)
            if active is not None:
                rows = rows.filter(**_ACTIVE) if active == "true" else rows.exclude(**_ACTIVE)
            return Response(page.of(rows, people_json))


_ACTIVE = {"is_active": True, "user__is_active": True}


class Person(People):
    """One of them, by the user's id."""

    def person(self, text: str) -> Membership:
        """Return the membership; raises `NotFound`."""
        return found(self.rows(), user_id=identifier(text))

    def read(self, text: str) -> Response:
        """Answer with the person."""
        with self.scope():
            person = self.person(text)
            check_reads(self)
            return conditions.answer(_shown(person))

    def change(self, text: str) -> Response:
        """Change role and state as the body says."""
        with self.scope():
            conditions.serialise(self.noun, text)
            person = self.person(text)
            self.require("admin")
            conditions.check(self.plain_request, conditions.etag(_shown(person)))
            wanted, actor = self.body(CHANGE), self.principal.actor
            with still_there():
                members.change_role(person, Role(wanted["role"]), acting_as=actor)
                change_state = members.reactivate if wanted["active"] else members.deactivate
                change_state(person, acting_as=actor)
            return conditions.answer(_shown(self.person(text)))

    def remove(self, text: str) -> HttpResponse:
        """End the membership."""
        with self.scope():
            person = self.person(text)
            self.require("admin")
            with still_there():
                members.remove(person, acting_as=self.principal.actor)
        return HttpResponse(status=204)


@contextmanager
def still_there() -> Iterator[None]:
    """Answer like for nobody when somebody else removed them meanwhile."""
    try:
        yield
    except UnknownMember as error:
        raise NotFound from error


class Members(People):
    """The tenant's members."""

    @call(
        "listMembers",
        "List members, newest first",
        answer=_PAGE,
        parameters=(*FILTERS, *PAGING),
        refusals=(400, 422),
    )
    def get(self, request: Request) -> Response:
        """List the people of the tenant, newest first. New ones come by invitation."""
        return self.listed()


class OneMember(Person):
    """One member."""

    @call("getMember", "Read a member", answer=_MEMBER, path=_PATH, parameters=(ETAG,), refusals=(404,))
    def get(self, request: Request, member_id: str) -> Response:
        """Return who it is and what they may do by role."""
        return self.read(member_id)

    @call(
        "changeMember",
        "Change a member",
        answer=_MEMBER,
        body=CHANGE,
        path=_PATH,
        parameters=(IF_MATCH, ETAG),
        refusals=(404, 409, 412, 428),
    )
    def put(self, request: Request, member_id: str) -> Response:
        """Give the member another role, deactivate or reactivate them.

        Deactivating takes their keys, team places, grants and queues along; reactivating brings back the role alone.
        The last active owner stays one (409).
        """
        return self.change(member_id)

    @call("removeMember", "Remove a member", status=204, path=_PATH, refusals=(404, 409))
    def delete(self, request: Request, member_id: str) -> HttpResponse:
        """End the membership, and with it keys, team places, grants and queues. The last active owner stays (409)."""
        return self.remove(member_id)


def people_json(page: list[Membership]) -> list[Json]:
    """Return memberships as the interface shows them; in the tenant's scope."""
    teams: dict[Any, list[str]] = {}
    places = TeamMember.objects.filter(user__in=[each.user_id for each in page]).order_by("team__slug")
    for user_id, slug in places.values_list("user_id", "team__slug"):
        teams.setdefault(user_id, []).append(slug)
    return [
        {
            "id": str(each.user_id),
            "email": each.user.email,
            "name": each.user.name,
            "role": each.role,
            "active": each.is_active and each.user.is_active,
            "teams": teams.get(each.user_id, []),
            "added_at": each.created_at.isoformat(),
        }
        for each in page
    ]


def _shown(person: Membership) -> Json:
    [shown] = people_json([person])
    return shown
