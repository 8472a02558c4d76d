"""The kill switch of an agent."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from agents.actions import agents, stopping
from agents.actions.stopping import LONGEST_REASON, Ended
from agents.models import Agent
from api.bodies import NOTHING, Body
from api.schema import call, component, nullable
from api.views import View, found, name

Json = Any

_PATH = {"slug": "The agent's slug."}
_STOP = Body(
    {
        "type": "object",
        "properties": {
            "reason": {
                "type": "string",
                "minLength": 1,
                "maxLength": LONGEST_REASON,
                "pattern": r"\S",
                "description": "Kept in the audit.",
            },
            "end_runs": {"type": "boolean", "default": False, "description": "Whether runs under way are ended, too."},
        },
        "required": ["reason"],
        "additionalProperties": False,
    },
    example={"reason": "It refunds everybody.", "end_runs": True},
)
_COUNT = {"type": "integer", "minimum": 0}
_STOPPED = component(
    "AgentStop",
    {
        "slug": {"type": "string"},
        "stopped_at": nullable({"type": "string", "format": "date-time", "description": "Null: it takes new runs."}),
        "under_way": {**_COUNT, "description": "Runs that have not ended, but for those that undo others' work."},
        "asked_to_end": {**_COUNT, "description": "How many runs were asked to end by this call."},
        "left": {**_COUNT, "description": "How many are still to be asked to end, where that was wanted: ask again."},
    },
)
_NONE = Ended(asked=0, left=0)


class Stop(View):
    """No new runs of an agent."""

    @call("stopAgent", "Stop an agent", answer=_STOPPED, body=_STOP, path=_PATH, refusals=(404, 409, 422))
    def post(self, request: Request, slug: str) -> Response:
        """Let no new run of the agent begin until it is let go on; with `end_runs`, end those under way.

        For who may edit the agent. Ending runs needs `runs:write` and the grant `run`, too, and takes ten seconds at
        most; asked again, it goes on with those that are `left`. `agent_not_stopped`: somebody let the agent go on
        before its runs were ended.
        """
        with self.scope():
            agent = _found(slug)
            agents.may_edit(slug, self.principal)
            body = self.body(_STOP)
            if ends := body.get("end_runs", False):
                stopping.check_ends(agent, self.principal)
            stopping.stop(agent, reason=body["reason"], acting_as=self.principal)
        ended = _NONE
        if ends:  # outside the scope: each run in a transaction of its own
            ended = stopping.end_runs(agent, acting_as=self.principal)
        with self.scope():
            return Response(_json(_found(slug), ended))


class GoOn(View):
    """New runs of a stopped agent."""

    @call("resumeAgent", "Let a stopped agent go on", answer=_STOPPED, body=NOTHING, path=_PATH, refusals=(404,))
    def post(self, request: Request, slug: str) -> Response:
        """Let new runs of the agent begin again. What was ended stays ended."""
        with self.scope():
            agent = _found(slug)
            agents.may_edit(slug, self.principal)
            self.body(NOTHING)
            return Response(_json(stopping.let_go_on(agent, acting_as=self.principal), _NONE))


def _found(slug: str) -> Agent:
    return found(Agent.objects.all(), slug=name(slug))


def _json(agent: Agent, ended: Ended) -> Json:
    return {
        "slug": agent.slug,
        "stopped_at": agent.stopped_at.isoformat() if agent.stopped_at else None,
        "under_way": stopping.under_way(agent).count(),
        "asked_to_end": ended.asked,
        "left": ended.left,
    }
