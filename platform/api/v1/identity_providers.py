"""Identity providers: where the tenant's people sign in through OpenID Connect. For owners."""

from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.urls import reverse
from rest_framework.request import Request
from rest_framework.response import Response

from api import conditions
from api.bodies import Body
from api.queries import Page, Query
from api.schema import CONDITIONS, ETAG, PAGING, call, component, page_of
from api.views import View, found, name
from signin.actions import identity_providers
from signin.actions.identity_providers import Wanted
from signin.models import IdentityProvider
from tenants.actions import tenants
from tenants.actions.names import check_slug
from tenants.models import Role

Json = Any

_JOINS_AS = {
    "type": ["string", "null"],
    "enum": [*(role for role in Role.values if role != Role.OWNER), None],
    "description": "Role of people new to the installation; null: they are invited first.",
}
_DOMAINS = {
    "type": "array",
    "items": {"type": "string", "maxLength": 253},
    "maxItems": 100,
    "description": "Of the e-mail addresses it answers for, each allowed to the tenant by who runs the installation.",
}
_ENFORCED = {"type": "boolean", "description": "Whether people of these domains reach the tenant by it alone."}
_WANTED = Body(
    {
        "type": "object",
        "properties": {
            "issuer": {"type": "string", "maxLength": 500, "description": "As its discovery document writes it."},
            "client_id": {"type": "string", "minLength": 1, "maxLength": 191},
            "client_secret": {
                "type": ["string", "null"],
                "minLength": 4,
                "maxLength": 1000,
                "writeOnly": True,
                "description": "Left out: the present one stays; null: a client without one.",
            },
            "name": {"type": "string", "maxLength": 200, "default": ""},
            "domains": {**_DOMAINS, "default": []},
            "joins_as": {**_JOINS_AS, "default": None},
            "enforced": {**_ENFORCED, "default": False},
            "enabled": {"type": "boolean", "default": True},
        },
        "required": ["issuer", "client_id"],
        "additionalProperties": False,
    },
    example={
        "issuer": "https://login.acme.example",
        "client_id": "countersign",
        "client_secret": "kept and never shown",
        "name": "Acme Login",
        "domains": ["acme.example"],
        "joins_as": "viewer",
    },
)
_TIME = {"type": "string", "format": "date-time"}
_PROVIDER = component(
    "IdentityProvider",
    {
        "id": {"type": "string", "format": "uuid", "description": "How records of sign-ins name it."},
        "slug": {"type": "string"},
        "name": {"type": "string"},
        "issuer": {"type": "string"},
        "client_id": {"type": "string"},
        "secret_set": {"type": "boolean"},
        "domains": _DOMAINS,
        "joins_as": _JOINS_AS,
        "enforced": _ENFORCED,
        "enabled": {"type": "boolean"},
        "redirect_uri": {"type": "string", "format": "uri", "description": "Register it with the provider."},
        "created_at": _TIME,
        "updated_at": _TIME,
    },
)
_PAGE = page_of("IdentityProviderPage", _PROVIDER)
_PATH = {"slug": "The provider's slug."}


class IdentityProviders(View):
    """The tenant's identity providers."""

    @call(
        "listIdentityProviders",
        "List identity providers, newest first",
        answer=_PAGE,
        parameters=PAGING,
        refusals=(400, 422),
    )
    def get(self, request: Request) -> Response:
        """List identity providers, newest first."""
        self.require("admin")
        page = Page(Query(self.plain_request, ("limit", "cursor")), name=f"providers.{self.principal.tenant_id}")
        with self.scope():
            slug = tenants.by_id(self.principal.tenant_id).slug
            rows = identity_providers.all_of_tenant()
            return Response(page.of(rows, lambda listed: [_json(each, slug) for each in listed]))


class OneIdentityProvider(View):
    """One identity provider."""

    @call(
        "getIdentityProvider",
        "Read an identity provider",
        answer=_PROVIDER,
        path=_PATH,
        parameters=(ETAG,),
        refusals=(404,),
    )
    def get(self, request: Request, slug: str) -> Response:
        """Return how the provider is set up, but for its secret, which is never shown."""
        with self.scope():
            provider = found(identity_providers.all_of_tenant(), slug=name(slug))
            self.require("admin")
            return conditions.answer(self._shown(provider))

    @call(
        "putIdentityProvider",
        "Set an identity provider up",
        also=201,
        answer=_PROVIDER,
        body=_WANTED,
        path=_PATH,
        parameters=CONDITIONS,
        refusals=(409, 412, 428),
    )
    def put(self, request: Request, slug: str) -> Response:
        """Set the provider up as the body says; 201 when it is new.

        Whoever signs in through it reaches this tenant and no other. The issuer stays: accounts are bound to it. A
        domain that another provider answers for is a 409, one that is not allowed to the tenant a 422.
        """
        self.require("admin")
        check_slug(slug)
        with self.scope():
            rows = identity_providers.all_of_tenant()
            present = conditions.replaced(self.plain_request, "identity_provider", rows, self._shown, slug=slug)
            identity_providers.put(slug, _wanted(self.body(_WANTED)), acting_as=self.principal)
            made = identity_providers.by_slug(slug)
            return conditions.answer(self._shown(made), status=200 if present else 201)

    @call("deleteIdentityProvider", "Remove an identity provider", status=204, path=_PATH, refusals=(404,))
    def delete(self, request: Request, slug: str) -> HttpResponse:
        """Remove it. Sessions that came through it open nothing any more, and nobody is bound to it."""
        with self.scope():
            provider = found(identity_providers.all_of_tenant(), slug=name(slug))
            self.require("admin")
            identity_providers.remove(provider, acting_as=self.principal)
        return HttpResponse(status=204)

    def _shown(self, provider: IdentityProvider) -> Json:
        return _json(provider, tenants.by_id(self.principal.tenant_id).slug)


def _wanted(body: dict[str, Json]) -> Wanted:
    secret = body["client_secret"] or "" if "client_secret" in body else None
    return Wanted(
        issuer=body["issuer"],
        client_id=body["client_id"],
        client_secret=secret,
        name=body.get("name", ""),
        domains=body.get("domains", []),
        joins_as=Role(body["joins_as"]) if body.get("joins_as") else None,
        enforced=body.get("enforced", False),
        enabled=body.get("enabled", True),
    )


def _json(provider: IdentityProvider, tenant: str) -> Json:
    place = {"tenant": tenant, "provider": provider.slug}
    return {
        "id": str(provider.id),
        "slug": provider.slug,
        "name": provider.name,
        "issuer": provider.issuer,
        "client_id": provider.client_id,
        "secret_set": bool(provider.sealed_secret),
        "domains": sorted(each.domain for each in provider.domains.all()),
        "joins_as": provider.joins_as or None,
        "enforced": provider.enforced,
        "enabled": provider.enabled,
        "redirect_uri": settings.BASE_URL + reverse("sso_callback", kwargs=place),
        "created_at": provider.created_at.isoformat(),
        "updated_at": provider.updated_at.isoformat(),
    }
