"""`Authorization: Bearer cs_…` → the principal the key acts for."""

from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from api.errors import NoKey
from audit import source
from quotas import guesses, rates
from quotas.addresses import client_address, network
from tenants.actions import api_keys
from tenants.errors import BadKey
from tenants.principal import Principal


class BearerKey(BaseAuthentication):
    """Signs a request in by its API key; nothing else does, so a browser's cookie never acts here."""

    def authenticate(self, request: Request) -> tuple[Principal, str]:
        """Return the principal and the key's text; raises `NoKey`, `BadKey`, `RateLimited`."""
        plain = request._request
        text = key_of(plain)
        with guesses.limited(network(client_address(plain)), text):
            principal = api_keys.authenticate(text)
        if principal.key_id is not None:
            source.came_by(principal.key_id)
        rates.count(
            plain,
            ("key", str(principal.key_id)),
            ("user", str(principal.user_id)),
            ("tenant", str(principal.tenant_id)),
        )
        return principal, text


def key_of(request: HttpRequest) -> str:
    """Return the key the request carries; raises `NoKey`, `BadKey`."""
    scheme, _, text = request.headers.get("Authorization", "").strip().partition(" ")
    if not scheme:
        raise NoKey
    if scheme.lower() != "bearer" or not text.strip().isascii():
        raise BadKey
    return text.strip()
