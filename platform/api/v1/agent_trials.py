"""An agent's rules tried on past runs."""

from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from agents.actions import trying_rules
from agents.actions.trying_rules import CHANGEABLE, MOST_RUNS, RUNS
from agents.core.trials import Said
from agents.models import Agent
from api.bodies import Body, beneath
from api.schema import call, component, nullable
from api.views import View, found, name

Json = Any

_ID = {"type": "string", "format": "uuid"}
_CHANGES = {
    **{key: {"type": "array"} for key in ("rules", "decisions", "thresholds", "templates")},
    "escalate_when": {"type": "string"},
    "output_schema": {"type": "object"},
}
_TRIAL = Body(
    {
        "type": "object",
        "properties": {
            "spec": {"type": "object", "description": "Of a document of the kind Agent; the draft when left out."},
            "changes": {
                "type": "object",
                "properties": {key: _CHANGES[key] for key in CHANGEABLE},
                "additionalProperties": False,
                "description": "What of it is to be tried in place of what it says.",
            },
            "runs": {"type": "integer", "minimum": 1, "maximum": MOST_RUNS, "default": RUNS},
            "before": {**_ID, "description": "A run: those that are older are looked at, such as `next` names."},
        },
        "additionalProperties": False,
    },
    example={"changes": {"decisions": [{"when": "output.risk_score > 80", "then": "reject", "code": "RISK"}]}},
)
_COUNT = {"type": "integer", "minimum": 0}
_TEXTS = {"type": "array", "items": {"type": "string"}}
_SAID = {
    "type": "object",
    "properties": {
        "then": {"type": "string", "enum": ["pass", "retry", "escalate", "reject"]},
        "code": {"type": ["string", "null"], "description": "`not_json`, `schema`, `rule` or `escalate_when`."},
        "rules": {**_TEXTS, "description": "The ids or codes of those broken; the one that decides first."},
        "undecided": {**_TEXTS, "description": "Of these, what could not be evaluated, which counts as broken."},
        "message": {"type": "string"},
    },
    "required": ["then", "code", "rules", "undecided", "message"],
}
_TRIED = component(
    "AgentTrial",
    {
        "runs": _COUNT,
        "answers": {**_COUNT, "description": "Finished answers of theirs that were judged."},
        "erased": {**_COUNT, "description": "Runs of which a part has been erased; what stands before it was judged."},
        "undecided": {
            **_COUNT,
            "description": "Answers that some rule could not be evaluated for, or was not as a list is too long.",
        },
        "counts": {
            "type": "object",
            "additionalProperties": _COUNT,
            "description": "How many runs would have gone another way, such as `pass_to_retry`.",
        },
        "changes": {
            "type": "array",
            "description": "Of each of these runs the first such answer, newest run first.",
            "items": {
                "type": "object",
                "properties": {
                    "run": _ID,
                    "seq": {"type": "integer", "minimum": 1},
                    "version": {"type": "integer", "minimum": 1, "description": "That the run was pinned to."},
                    "before": _SAID,
                    "after": _SAID,
                },
                "required": ["run", "seq", "version", "before", "after"],
            },
        },
        "next": nullable({**_ID, "description": "For `before`, when there are older runs."}),
    },
)


class Trial(View):
    """Rules tried on past runs."""

    @call(
        "tryAgent",
        "Try an agent's rules on past runs",
        answer=_TRIED,
        body=_TRIAL,
        path={"slug": "The agent's slug."},
        refusals=(404, 409),
    )
    def post(self, request: Request, slug: str) -> Response:
        """Say which answers of runs that have ended would have gone another way. Nothing is saved or done anew.

        For who may edit the agent and sees what runs say. Looked at are output schema, rules, decision tables,
        thresholds and `escalate_when`; guards and triage are not.
        """
        with self.scope():
            agent = found(Agent.objects.all(), slug=name(slug))
            trying_rules.check(agent, acting_as=self.principal)
            body = self.body(_TRIAL)
            with beneath("/changes" if "changes" in body else "/spec"):
                tried = trying_rules.trial(
                    agent,
                    body.get("spec"),
                    changes=body.get("changes"),
                    runs=int(body.get("runs", RUNS)),
                    before=UUID(body["before"]) if "before" in body else None,
                    acting_as=self.principal,
                )
        return Response(
            {
                "runs": tried.runs,
                "answers": tried.answers,
                "erased": tried.erased,
                "undecided": tried.undecided,
                "counts": tried.counts,
                "changes": [
                    {
                        "run": str(each.run),
                        "seq": each.seq,
                        "version": each.version,
                        "before": _said(each.before),
                        "after": _said(each.after),
                    }
                    for each in tried.changes
                ],
                "next": str(tried.next) if tried.next else None,
            }
        )


def _said(each: Said) -> Json:
    return {
        "then": each.then,
        "code": each.code,
        "rules": list(each.rules),
        "undecided": list(each.undecided),
        "message": each.words,
    }
