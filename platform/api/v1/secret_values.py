"""Secrets: written, never read back."""

from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request

from api.bodies import Body
from api.schema import call
from api.views import View
from vault.actions import secrets

Json = Any

_VALUE = Body(
    {
        "type": "object",
        "properties": {"value": {"type": "string", "writeOnly": True}},
        "required": ["value"],
        "additionalProperties": False,
    },
    example={"value": "Bearer 4f9c…"},
)


class OneSecret(View):
    """A secret by name."""

    @call("putSecret", "Keep a secret", status=204, body=_VALUE, path={"secret_name": "The secret's name."})
    def put(self, request: Request, secret_name: str) -> HttpResponse:
        """Keep the value under that name, in place of any former one; tools name it as `secret:NAME`.

        There is no way to read it back.
        """
        self.require("tools:write")
        value = self.body(_VALUE)["value"]
        with self.scope():
            secrets.put(secret_name, value, acting_as=self.principal)
        return HttpResponse(status=204)
