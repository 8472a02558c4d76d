"""What people do about a run while it goes on and after it has ended."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from agents.actions import again, guidance
from api.bodies import Body
from api.schema import answer_header, call, header
from api.v1.runs import PATH, RUN, STARTED, idempotency_key, seen, shown, started_json
from api.views import View
from escalations.actions import appeals

Json = Any

_MESSAGE = Body(
    {
        "type": "object",
        "properties": {
            "message": {
                "type": "string",
                "minLength": 1,
                "maxLength": guidance.LONGEST,
                "pattern": "\\S",
                "description": "What the model is told.",
            }
        },
        "required": ["message"],
        "additionalProperties": False,
    },
    example={"message": "The customer has sent the missing statement; it is in the CRM."},
)
_START = Body(
    {
        "type": "object",
        "properties": {"from": {"type": "string", "enum": list(again.STARTS)}},
        "required": ["from"],
        "additionalProperties": False,
    },
    example={"from": "step"},
)
_REASON = Body(
    {
        "type": "object",
        "properties": {"reason": {"type": "string", "minLength": 1, "maxLength": 4000, "pattern": "\\S"}},
        "required": ["reason"],
        "additionalProperties": False,
    },
    example={"reason": "The income statement was read wrongly: see page 3."},
)


class Guidance(View):
    """Words to a run that goes on."""

    @call("guideRun", "Tell a run something", status=202, answer=RUN, body=_MESSAGE, path=PATH, refusals=(404, 409))
    def post(self, request: Request, run_id: str) -> Response:
        """Tell the run something; it reaches the model before its next call.

        For who may start runs of the agent or review it. A run that waits goes on waiting.
        """
        with self.scope():
            run = seen(run_id)
            guidance.check(run, acting_as=self.principal)
            run = guidance.guide(run.id, self.body(_MESSAGE)["message"], acting_as=self.principal)
            return Response(shown([run], payloads=self.shows_payloads)[0], status=202)


class Retry(View):
    """Another try."""

    @call(
        "retryRun",
        "Try a run again",
        status=202,
        answer=STARTED,
        body=_START,
        path=PATH,
        parameters=(
            header("Idempotency-Key", "Up to 255 printable ASCII characters; the same key names the same run."),
            answer_header("Location", "The new run's address.", 202),
        ),
        refusals=(404, 409),
    )
    def post(self, request: Request, run_id: str) -> Response:
        """Start a new run, with `retry_of`, for the same member and input.

        `start`: anew, with the agent's live version. `step`: with the same version and from the last step that was
        completed; calls that have their result are not made again.
        """
        with self.scope():
            run = seen(run_id)
            self.require("runs:write")
            key = idempotency_key(self.plain_request)
            start = self.body(_START)["from"]
            started = started_json(again.retry(run.id, start, idempotency_key=key, acting_as=self.principal))
        return Response(started, status=202, headers={"Location": started["links"]["self"]})


class Appeal(View):
    """Another look, by others."""

    @call("appealRun", "Appeal against a run", status=202, answer=RUN, body=_REASON, path=PATH, refusals=(404, 409))
    def post(self, request: Request, run_id: str) -> Response:
        """Appeal against what the run decided, as its agent allows: `appeal` of the run says whether and until when."""
        with self.scope():
            run = seen(run_id)
            appeals.check(run, acting_as=self.principal)
            appeals.make(run.id, self.body(_REASON)["reason"], acting_as=self.principal)
            run = seen(run_id)
            return Response(shown([run], payloads=self.shows_payloads, appeal=True)[0], status=202)
