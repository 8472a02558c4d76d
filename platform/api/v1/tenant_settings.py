"""What a tenant's owner settles for all of it."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from api import conditions
from api.bodies import Body
from api.errors import Fault, InvalidBody
from api.schema import CONDITIONS, call, component
from api.views import View
from egress.errors import EgressError
from egress.urls import read_host
from tenants.actions import settings, tenants
from tenants.models import Tenant

Json = Any

_PROPERTIES: dict[str, Json] = {
    "undo_s": {
        "type": "integer",
        "minimum": 0,
        "maximum": settings.MAX_UNDO_S,
        "description": "Seconds for which an answer can be taken back, where its queue does not say; 0 for none.",
    },
    "webhook_hosts": {
        "type": ["array", "null"],
        "maxItems": settings.MAX_HOSTS,
        "items": {"type": "string", "minLength": 1, "maxLength": 253},
        "description": "The only hosts that webhooks and callbacks may tell; null for any.",
    },
}
_SETTINGS = component("TenantSettings", _PROPERTIES)
_PUT = Body(
    {"type": "object", "properties": _PROPERTIES, "required": list(_PROPERTIES), "additionalProperties": False},
    example={"undo_s": 10, "webhook_hosts": ["crm.example"]},
)


class TenantSettings(View):
    """The tenant's settings."""

    @call("getTenantSettings", "Read the tenant's settings", answer=_SETTINGS)
    def get(self, request: Request) -> Response:
        """Return what holds for the whole tenant."""
        self.require("admin")
        with self.scope():
            return conditions.answer(_json(tenants.by_id(self.principal.tenant_id)))

    @call(
        "putTenantSettings",
        "Change the tenant's settings",
        answer=_SETTINGS,
        body=_PUT,
        parameters=CONDITIONS,
        refusals=(412, 428),
    )
    def put(self, request: Request) -> Response:
        """Change what holds for the whole tenant. It counts for answers and deliveries from now on."""
        self.require("admin")
        with self.scope():
            conditions.serialise("settings", "tenant")
            conditions.check(self.plain_request, conditions.etag(_json(tenants.by_id(self.principal.tenant_id))))
            body = self.body(_PUT)
            undo_s, hosts = int(body["undo_s"]), _hosts(body["webhook_hosts"])
            tenant_id, actor = self.principal.tenant_id, self.principal.actor
            row = settings.put(tenant_id, undo_s=undo_s, webhook_hosts=hosts, acting_as=actor)
            return conditions.answer(_json(row))


def _hosts(said: list[str] | None) -> list[str] | None:
    """Return the hosts in the form in which the guarded client reads them; raises `InvalidBody`."""
    hosts, faults = [], []
    for index, host in enumerate(said or ()):
        try:
            hosts.append(read_host(host)[0])
        except EgressError as error:
            faults.append(Fault(f"/webhook_hosts/{index}", error.detail))
    if faults:
        raise InvalidBody(faults=faults)
    return None if said is None else hosts


def _json(tenant: Tenant) -> Json:
    return {"undo_s": tenant.undo_s, "webhook_hosts": tenant.webhook_hosts}
