"""Teams: members who are granted things together."""

from typing import Any

from django.db.models import Count
from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from api import conditions
from api.bodies import Body
from api.errors import Fault, InvalidBody, NotFound
from api.queries import Page, Query
from api.schema import CONDITIONS, ETAG, PAGING, call, component, page_of
from api.v1.members import check_reads
from api.views import View, found, name
from tenants.actions import members, teams
from tenants.errors import UnknownTeam
from tenants.models import Team

Json = Any

_SLUG = {"type": "string"}
_NAME = {"type": "string", "maxLength": 200}
_TEAM = component(
    "Team",
    {
        "slug": _SLUG,
        "name": _NAME,
        "members": {"type": "array", "items": {"type": "string"}, "description": "E-mail addresses."},
    },
    example={"slug": "credit", "name": "Credit desk", "members": ["ada@acme.example"]},
)
_LISTED = component("TeamSummary", {"slug": _SLUG, "name": _NAME, "size": {"type": "integer", "minimum": 0}})
_PAGE = page_of("TeamPage", _LISTED)
_WANTED = Body(
    {
        "type": "object",
        "properties": {
            "name": _NAME,
            "members": {
                "type": "array",
                "items": {"type": "string", "maxLength": 254},
                "description": "E-mail addresses of all who shall be in it.",
            },
            "slug": {"type": "string", "maxLength": 63, "description": "What a team that is there is called from now."},
        },
        "required": ["members"],
        "additionalProperties": False,
    },
    example={"name": "Credit desk", "members": ["ada@acme.example"]},
)
_PATH = {"slug": "The team's slug."}


class Teams(View):
    """The tenant's teams."""

    @call("listTeams", "List teams, newest first", answer=_PAGE, parameters=PAGING, refusals=(400, 422))
    def get(self, request: Request) -> Response:
        """List teams, newest first, with how many are in each."""
        check_reads(self)
        page = Page(Query(self.plain_request, ("limit", "cursor")), name=f"teams.{self.principal.tenant_id}")
        with self.scope():
            return Response(page.of(Team.objects.annotate(size=Count("members")), _summaries))


class OneTeam(View):
    """One team."""

    @call(
        "getTeam",
        "Read a team",
        answer=_TEAM,
        path=_PATH,
        parameters=(ETAG,),
        refusals=(404,),
    )
    def get(self, request: Request, slug: str) -> Response:
        """Return the team and who is in it."""
        with self.scope():
            team = found(Team.objects.all(), slug=name(slug))
            check_reads(self)
            return conditions.answer(_json(team))

    @call(
        "putTeam",
        "Make or change a team",
        also=201,
        answer=_TEAM,
        body=_WANTED,
        path=_PATH,
        parameters=CONDITIONS,
        refusals=(409, 412, 428),
    )
    def put(self, request: Request, slug: str) -> Response:
        """Make the team as the body says; who is not named leaves it. `slug` renames a team that is there.

        What a team may do, everybody in it may from then on. 201 when the team is new.
        """
        self.require("admin")
        with self.scope():
            present = conditions.replaced(self.plain_request, "team", Team.objects.all(), _json, slug=slug)
            wanted = self.body(_WANTED)
            _check(wanted, new=present is None)
            team = teams.put(
                tenant_id=self.principal.tenant_id,
                slug=slug,
                name=wanted.get("name", ""),
                emails=wanted["members"],
                rename_to=wanted.get("slug"),
                acting_as=self.principal.actor,
            )
            return conditions.answer(_json(team), status=200 if present else 201)

    @call("deleteTeam", "Delete a team", status=204, path=_PATH, refusals=(404, 409))
    def delete(self, request: Request, slug: str) -> HttpResponse:
        """Delete it with all that was granted to it. A team that a queue names stays (409)."""
        with self.scope():
            team = found(Team.objects.all(), slug=name(slug))
            self.require("admin")
            try:
                teams.delete(team, acting_as=self.principal.actor)
            except UnknownTeam as error:
                raise NotFound from error
        return HttpResponse(status=204)


def _check(wanted: dict[str, Json], *, new: bool) -> None:
    known = members.by_emails(wanted["members"])
    faults = [
        Fault(f"/members/{place}", "Nobody with this address is an active member.")
        for place, email in enumerate(wanted["members"])
        if email not in known
    ]
    if new and "slug" in wanted:
        faults.append(Fault("/slug", "The address says what a new team is called."))
    if faults:
        raise InvalidBody(faults=faults)


def _summaries(page: list[Any]) -> list[Json]:
    return [{"slug": team.slug, "name": team.name, "size": team.size} for team in page]


def _json(team: Team) -> Json:
    people = team.members.order_by("user__email").values_list("user__email", flat=True)
    return {"slug": team.slug, "name": team.name, "members": list(people)}
