"""Grants on one object: who may run, edit or review an agent, or have runs use a tool."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from access import grants, permissions
from access.errors import UnknownGrant
from access.grants import Grant, Holder
from agents.actions.grants import give
from agents.core.rules import MAX_LENGTH
from agents.errors import BadCondition
from agents.models import Agent, Tool
from api.bodies import Body
from api.errors import Fault, InvalidBody, NotFound
from api.queries import Page, Query
from api.schema import PAGING, call, component, nullable, page_of
from api.views import View, found, identifier, name
from tenants.actions import members, teams
from tenants.errors import UnknownMember, UnknownTeam
from tenants.models import Team

Json = Any


def _body(*permissions: str, **more: Json) -> Body:
    return Body(
        {
            "type": "object",
            "properties": {
                "user": {"type": "string", "maxLength": 254, "description": "A member's e-mail address."},
                "team": {"type": "string", "maxLength": 63, "description": "A team's slug."},
                "permission": {"type": "string", "enum": list(permissions)},
                **more,
            },
            "required": ["permission"],
            "oneOf": [{"required": ["user"]}, {"required": ["team"]}],
            "additionalProperties": False,
        },
        example={"team": "credit", "permission": permissions[0]},
    )


_ID = {"type": "string", "format": "uuid"}
_GRANT = component(
    "Grant",
    {
        "id": _ID,
        "user": {"type": "string", "description": "A member's e-mail address."},
        "team": {"type": "string", "description": "A team's slug."},
        "permission": {"type": "string", "enum": ["use", "run", "edit", "review"]},
        "condition": nullable({"type": "string", "description": "Of tools: when it holds. Null: always."}),
    },
    optional=("user", "team", "condition"),
    example={"id": "0198c2a0-0000-7000-8000-000000000000", "team": "credit", "permission": "use"},
)
_GRANTS = page_of("GrantPage", _GRANT)
_ON_AGENT = _body("run", "edit", "review")
_ON_TOOL = _body(
    "use",
    condition={
        "type": ["string", "null"],
        "minLength": 1,
        "maxLength": MAX_LENGTH,
        "description": "CEL over `args` and `principal` (`{id, email, role, teams}`). Without one it holds always.",
    },
)


class _Grants(View):
    """The grants on one object of a `kind`, which a URL names by its field `by` and `reads` lets one read."""

    kind: ClassVar[type[Agent] | type[Tool]]
    by: ClassVar[str]
    reads: ClassVar[str]

    def _object(self, text: str) -> Agent | Tool:
        rows: QuerySet[Any] = self.kind.objects.select_related("live")
        obj: Agent | Tool = found(rows, **{self.by: name(text)})
        return obj

    def _list(self, text: str) -> Response:
        with self.scope():
            obj = self._object(text)
            self.require(self.reads)
            if not permissions.can(self.principal, "grants:write"):
                self.require("people:read")  # whom grants name, and their conditions, are about people
            page = Page(Query(self.plain_request, ("limit", "cursor")), name=f"grants.{obj.pk}")
            return Response(page.of_all(grants.rows_of(obj), _listed))

    def _add(self, text: str, body: Body) -> Response:
        with self.scope():
            obj = self._object(text)
            self.require("grants:write")
            wanted = self.body(body)
            holder, condition = _holder(wanted), wanted.get("condition")
            try:
                grant = give(obj, wanted["permission"], holder, condition=condition, acting_as=self.principal)
            except BadCondition as error:
                raise InvalidBody(faults=[Fault("/condition", str(error))]) from error
            return Response(_json(grant), status=201)

    def _remove(self, text: str, grant_id: str) -> HttpResponse:
        with self.scope():
            obj = self._object(text)
            try:
                grant = grants.one(obj, identifier(grant_id))
            except UnknownGrant as error:
                raise NotFound from error
            self.require("grants:write")
            grants.remove(obj, grant.id, acting_as=self.principal)
        return HttpResponse(status=204)


class _OnAgent(_Grants):
    kind, by, reads = Agent, "slug", "agents:read"


class _OnTool(_Grants):
    kind, by, reads = Tool, "name", "tools:read"


_AGENT = {"slug": "The agent's slug."}
_TOOL = {"tool_name": "The tool's name."}
_GRANT_ID = {"grant_id": "The grant's id."}


class AgentGrants(_OnAgent):
    """Who may run, edit or review an agent."""

    @call(
        "listAgentGrants",
        "List an agent's grants, newest first",
        answer=_GRANTS,
        path=_AGENT,
        parameters=PAGING,
        refusals=(400, 404, 422),
    )
    def get(self, request: Request, slug: str) -> Response:
        """List them, newest first, for those who may see people or give grants.

        Owners and operators hold all of them without any.
        """
        return self._list(slug)

    @call("addAgentGrant", "Grant", status=201, answer=_GRANT, body=_ON_AGENT, path=_AGENT, refusals=(404,))
    def post(self, request: Request, slug: str) -> Response:
        """Let a member or a team run, edit or review the agent; what is granted already stays as it is."""
        return self._add(slug, _ON_AGENT)


class AgentGrant(_OnAgent):
    """One grant on an agent."""

    @call("removeAgentGrant", "Take a grant back", status=204, path={**_AGENT, **_GRANT_ID}, refusals=(404,))
    def delete(self, request: Request, slug: str, grant_id: str) -> HttpResponse:
        """Take it back; it ends at once, also for runs under way."""
        return self._remove(slug, grant_id)


class ToolGrants(_OnTool):
    """Who may have runs use a tool."""

    @call(
        "listToolGrants",
        "List a tool's grants, newest first",
        answer=_GRANTS,
        path=_TOOL,
        parameters=PAGING,
        refusals=(400, 404, 422),
    )
    def get(self, request: Request, tool_name: str) -> Response:
        """List them, newest first, for those who may see people or give grants.

        Owners and operators hold all of them without any.
        """
        return self._list(tool_name)

    @call("addToolGrant", "Grant", status=201, answer=_GRANT, body=_ON_TOOL, path=_TOOL, refusals=(404,))
    def post(self, request: Request, tool_name: str) -> Response:
        """Let a member or a team have runs use the tool, with any arguments or where a condition holds.

        What is granted just so already stays as it is; with another condition it becomes another grant, which takes
        the place of the first.
        """
        return self._add(tool_name, _ON_TOOL)


class ToolGrant(_OnTool):
    """One grant on a tool."""

    @call("removeToolGrant", "Take a grant back", status=204, path={**_TOOL, **_GRANT_ID}, refusals=(404,))
    def delete(self, request: Request, tool_name: str, grant_id: str) -> HttpResponse:
        """Take it back; it ends at once, also for runs under way."""
        return self._remove(tool_name, grant_id)


def _holder(wanted: dict[str, Json]) -> Holder:
    try:
        return teams.by_slug(wanted["team"]) if "team" in wanted else members.by_email(wanted["user"])
    except (UnknownMember, UnknownTeam) as error:
        place = "/team" if "team" in wanted else "/user"
        raise InvalidBody(faults=[Fault(place, str(error))]) from error


def _listed(rows: list[Any]) -> list[Json]:
    return [_json(grants.grant_of(row)) for row in rows]


def _json(grant: Grant) -> Json:
    holder = {"team": grant.holder.slug} if isinstance(grant.holder, Team) else {"user": grant.holder.email}
    condition = {"condition": grant.condition} if grant.permission in grants.permissions(Tool) else {}
    return {"id": str(grant.id), **holder, "permission": grant.permission, **condition}
