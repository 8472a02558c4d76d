"""Policies: which calls of tools a person must approve, or that are not made."""

from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from agents.actions import policies, trying_policies
from agents.actions.trying_policies import MOST_RUNS, RUNS
from agents.errors import UnknownPolicy
from agents.models import Policy
from api import conditions
from api.bodies import Body, beneath
from api.errors import NotFound
from api.queries import Page, Query
from api.schema import CONDITIONS, ETAG, PAGING, call, component, page_of
from api.views import View, found, name

Json = Any

_EXAMPLE = {
    "applies_to": {"tools": ["refund_payment"]},
    "when": "args.amount_minor > 50000",
    "then": "approve",
    "required": 2,
    "queue": "finance",
}
_DOCUMENT = {"type": "object", "description": "The `spec` of a document of the kind Policy."}
_SPEC = Body(
    {"type": "object", "properties": {"spec": _DOCUMENT}, "required": ["spec"], "additionalProperties": False},
    example={"spec": _EXAMPLE},
)
_TRIAL = Body(
    {
        "type": "object",
        "properties": {
            "spec": {**_DOCUMENT, "description": "What to try; what is saved under the name when left out."},
            "runs": {"type": "integer", "minimum": 1, "maximum": MOST_RUNS, "default": RUNS},
        },
        "additionalProperties": False,
    },
    example={"spec": _EXAMPLE, "runs": 100},
)
_TIME = {"type": "string", "format": "date-time"}
_COUNT = {"type": "integer", "minimum": 0}
_POLICY = component(
    "Policy",
    {
        "name": {"type": "string"},
        "version": {"type": "integer", "minimum": 1},
        "digest": {"type": "string", "description": "SHA-256 (hex) of the definition; approvals are bound to it."},
        "spec": {"type": "object"},
        "created_at": _TIME,
        "updated_at": _TIME,
    },
)
_PAGE = page_of("PolicyPage", _POLICY)
_HIT = {
    "type": "object",
    "properties": {
        "run": {"type": "string", "format": "uuid"},
        "seq": {"type": "integer", "minimum": 1},
        "tool": {"type": "string"},
        "asked": {"type": "boolean", "description": "Whether a person was asked about the call then."},
    },
    "required": ["run", "seq", "tool", "asked"],
}
_TRIED = component(
    "PolicyTrial",
    {
        "runs": _COUNT,
        "calls": {**_COUNT, "description": "Calls that the policy applies to."},
        "hits": {**_COUNT, "description": "Those among them where `when` holds."},
        "asked_already": {**_COUNT, "description": "Those among them that a person was asked about then."},
        "undecided": {**_COUNT, "description": "Where `when` could not be evaluated, which counts as holding."},
        "examples": {"type": "array", "items": _HIT},
    },
)
_PATH = {"policy_name": "The policy's name."}


class Policies(View):
    """The tenant's policies."""

    @call("listPolicies", "List policies, newest first", answer=_PAGE, parameters=PAGING, refusals=(400, 422))
    def get(self, request: Request) -> Response:
        """List policies, newest first."""
        self.require("tools:read")
        page = Page(Query(self.plain_request, ("limit", "cursor")), name=f"policies.{self.principal.tenant_id}")
        with self.scope():
            return Response(page.of(Policy.objects.all(), lambda listed: [_json(policy) for policy in listed]))


class OnePolicy(View):
    """One policy."""

    @call("getPolicy", "Read a policy", answer=_POLICY, path=_PATH, parameters=(ETAG,), refusals=(404,))
    def get(self, request: Request, policy_name: str) -> Response:
        """Return the policy as it counts now."""
        with self.scope():
            policy = found(Policy.objects.all(), name=name(policy_name))
            self.require("tools:read")
            return conditions.answer(_json(policy))

    @call(
        "putPolicy",
        "Define a policy",
        also=201,
        answer=_POLICY,
        body=_SPEC,
        path=_PATH,
        parameters=CONDITIONS,
        refusals=(412, 428),
    )
    def put(self, request: Request, policy_name: str) -> Response:
        """Define the policy; it counts for every call planned from now on. 201 when it is new."""
        self.require("tools:write")
        with self.scope():
            rows = Policy.objects.all()
            present = conditions.replaced(self.plain_request, "policy", rows, _json, name=policy_name)
            with beneath("/spec"):
                policy = policies.put(policy_name, self.body(_SPEC)["spec"], acting_as=self.principal)
            return conditions.answer(_json(policy), status=200 if present else 201)

    @call("deletePolicy", "Delete a policy", status=204, path=_PATH, refusals=(404,))
    def delete(self, request: Request, policy_name: str) -> HttpResponse:
        """Take it away; calls planned from now on are not held by it."""
        with self.scope():
            policy = found(Policy.objects.all(), name=name(policy_name))
            self.require("tools:write")
            try:
                policies.delete(policy.name, acting_as=self.principal)
            except UnknownPolicy as error:
                raise NotFound from error
        return HttpResponse(status=204)


class Trial(View):
    """A policy tried on past runs."""

    @call("tryPolicy", "Try a policy on past runs", answer=_TRIED, body=_TRIAL, path=_PATH, refusals=(404,))
    def post(self, request: Request, policy_name: str) -> Response:
        """Say which calls of past runs the policy would have spoken up at. Nothing is saved."""
        with self.scope():
            saved = Policy.objects.filter(name=policy_name).first()
            self.require("tools:write")
            body = self.body(_TRIAL)
            if saved is None and "spec" not in body:
                raise NotFound
            spec = body.get("spec", saved.document if saved else {})
            with beneath("/spec"):
                tried = trying_policies.trial(
                    policy_name, spec, acting_as=self.principal, runs=int(body.get("runs", RUNS))
                )
        return Response(
            {
                "runs": tried.runs,
                "calls": tried.calls,
                "hits": tried.hits,
                "asked_already": tried.asked_already,
                "undecided": tried.undecided,
                "examples": [
                    {"run": str(hit.run), "seq": hit.seq, "tool": hit.tool, "asked": hit.asked}
                    for hit in tried.examples
                ],
            }
        )


def _json(policy: Policy) -> Json:
    return {
        "name": policy.name,
        "version": policy.number,
        "digest": policies.digest_of(policy),
        "spec": policy.document,
        "created_at": policy.created_at.isoformat(),
        "updated_at": policy.updated_at.isoformat(),
    }
