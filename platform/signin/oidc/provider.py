"""allauth's OpenID Connect provider and its conversation with one, stricter than allauth has them."""

from dataclasses import dataclass
from typing import Any, Final

from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.models import SocialApp, SocialLogin, SocialToken
from allauth.socialaccount.providers.oauth2.client import OAuth2Client
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from signin.oidc import documents, id_token
from signin.oidc.addresses import why_unfit
from signin.oidc.errors import Refused

Json = Any

_WELL_KNOWN: Final = "/.well-known/openid-configuration"
_NAME_LENGTH: Final = 200

#: What a token is refused for that a provider signed with a key that is new.
_KEYS_CHANGED: Final = frozenset({"id_token_key", "id_token_signature"})


@dataclass(frozen=True, slots=True)
class Claims:
    """What a provider says of a person. email: as it was said; vouched: whether the provider verified it."""

    subject: str
    email: str
    vouched: bool
    name: str


class Client(OAuth2Client):  # type: ignore[misc]
    """Keeps the query that an authorization endpoint may have (RFC 6749, 3.1)."""

    def get_redirect_url(self, authorization_url: str, scope: list[str], extra_params: dict[str, Any]) -> str:
        address, _, query = authorization_url.partition("?")
        url: str = super().get_redirect_url(address, scope, extra_params)
        return f"{url}&{query}" if query else url


class Conversation(OpenIDConnectOAuth2Adapter):  # type: ignore[misc]
    """One sign-in's questions to the provider (allauth calls this the adapter).

    nonce: what the ID token must name; set from the state that the browser brought back.
    """

    client_class = Client
    nonce = ""

    def get_provider(self) -> "Provider":
        """Return the provider, looked up once."""
        if not hasattr(self, "_provider"):
            self._provider: Provider = super().get_provider()
        return self._provider

    @property
    def openid_config(self) -> dict[str, Json]:
        """The discovery document (OpenID Connect Discovery 1.0, 4); raises `CallFailed`, `Refused`."""
        if not hasattr(self, "_openid_config"):
            url = self._issuer.rstrip("/") + _WELL_KNOWN
            document: dict[str, Json] = documents.kept(self._version, url) or documents.ask(
                self._version, url, lambda: _checked(self._ask(url), self._issuer)
            )
            self._openid_config = document
        return self._openid_config

    @property
    def _issuer(self) -> str:
        issuer: str = self.get_provider().app.settings["server_url"]
        return issuer

    @property
    def _version(self) -> str:
        version: str = self.get_provider().app.settings["version"]
        return version

    def get_callback_url(self, request: HttpRequest, app: SocialApp) -> str:
        """Return where the browser comes back: an address made of settings, never of the request."""
        place = {"tenant": app.settings["tenant"], "provider": app.settings["slug"]}
        return f"{settings.BASE_URL}{reverse('sso_callback', kwargs=place)}"

    def parse_token(self, data: dict[str, Json]) -> SocialToken:
        """Take the access token for the one question it is used for; nothing of it is kept."""
        return SocialToken(token=str(data["access_token"]))

    def complete_login(self, request: HttpRequest, app: SocialApp, token: SocialToken, **kwargs: Any) -> SocialLogin:
        """Return who the provider says has signed in; raises `CallFailed`, `Refused`."""
        said = self._verified(kwargs["response"].get("id_token"))
        if "email" not in said and "userinfo_endpoint" in self.openid_config:
            more = self._ask(self.openid_config["userinfo_endpoint"], bearer=token.token)
            if more.get("sub") != said["sub"]:  # OpenID Connect Core 1.0, 5.3.2
                raise Refused("userinfo_subject", "The user info is about somebody else than the ID token.")
            said = {**more, **said}
        login = self.get_provider().sociallogin_from_response(request, {"id_token": said})
        login.claims = Claims(
            subject=said["sub"],
            email=said["email"] if isinstance(said.get("email"), str) else "",
            vouched=said.get("email_verified") in (True, "true"),
            name=_name(said.get("name")),
        )
        return login

    def _verified(self, token: object) -> dict[str, Json]:
        """Return the ID token's claims; a key that is not among those kept is looked for among the present ones."""
        url = self.openid_config["jwks_uri"]
        if (keys := documents.kept(self._version, url)) is not None:
            try:
                return self._verified_by(keys, token)
            except Refused as error:
                if error.reason not in _KEYS_CHANGED:
                    raise
        return self._verified_by(documents.ask(self._version, url, lambda: self._ask(url)), token)

    def _verified_by(self, keys: Json, token: object) -> dict[str, Json]:
        client_id = self.get_provider().app.client_id
        return id_token.verified(token, keys=keys, issuer=self._issuer, client_id=client_id, nonce=self.nonce)

    def _ask(self, url: str, *, bearer: str = "") -> dict[str, Json]:
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        with get_adapter().get_requests_session() as session:
            answer: dict[str, Json] = session.get(url, headers=headers).json()
        return answer


class Provider(OpenIDConnectProvider):  # type: ignore[misc]
    """A tenant's provider. What it says is looked at while somebody signs in; of it only the subject is kept."""

    oauth2_adapter_class = Conversation
    supports_token_authentication = False
    pkce_enabled_default = True

    def serialize(self) -> dict[str, Json]:
        """Name the provider, so that a sign-in that waits for a second factor finds it again."""
        return {"id": self.app.provider_id}

    def extract_extra_data(self, data: Json) -> dict[str, Json]:
        return {}

    def extract_common_fields(self, data: Json) -> dict[str, Json]:
        return {}

    def extract_email_addresses(self, data: Json) -> list[Any]:
        return []


def _checked(document: dict[str, Json], issuer: str) -> dict[str, Json]:
    if document.get("issuer") != issuer:
        raise Refused("discovery_issuer", "The discovery document is another issuer's.")
    needed = ["authorization_endpoint", "token_endpoint", "jwks_uri"]
    for name in [*needed, *(["userinfo_endpoint"] if "userinfo_endpoint" in document else [])]:
        if why := why_unfit(document.get(name)):
            raise Refused("discovery_endpoint", f"The provider's {name} cannot be used. {why}")
    return document


def _name(said: Json) -> str:
    return said[:_NAME_LENGTH] if isinstance(said, str) and said.isprintable() else ""
