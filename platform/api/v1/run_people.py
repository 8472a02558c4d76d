"""What people do about a run while it goes on and after it has ended."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from agents.actions import guidance
from api.bodies import Body
from api.schema import call
from api.v1.runs import PATH, RUN, seen, shown
from api.views import View

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
