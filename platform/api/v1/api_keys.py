"""API keys: made, shown once, replaced and revoked.

Owners (`admin`) see and revoke every key; who holds `keys:write` only those that act as themselves. Nobody gets the
text of a key that acts as another person: decisions made with it would be signed with that person's name.
"""

from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from access import permissions
from access.errors import AccessDenied
from api.bodies import Body, instant
from api.errors import Fault, InvalidBody, NotFound
from api.queries import Page, Query
from api.schema import PAGING, call, component, nullable, page_of
from api.views import View, found, identifier
from tenants.actions import api_keys, tenants
from tenants.models import ApiKey, Membership, User
from tenants.scopes import SCOPES

Json = Any

_TIME = {"type": "string", "format": "date-time"}
_ID = {"type": "string", "format": "uuid"}
_KEY: dict[str, Json] = {
    "id": _ID,
    "name": {"type": "string"},
    "prefix": {"type": "string", "description": "How the key begins."},
    "scopes": {"type": "array", "items": {"type": "string", "enum": list(SCOPES)}},
    "acts_as": {"type": "string", "description": "E-mail address of the member, or of the service's account."},
    "status": {"type": "string", "enum": ["active", "expired", "revoked"]},
    "created_at": _TIME,
    "expires_at": nullable(_TIME),
    "last_used_at": nullable({**_TIME, "description": "Exact to a minute."}),
    "revoked_at": nullable(_TIME),
    "successor": nullable({**_ID, "description": "The key that took its place; it works until `expires_at`."}),
}
_LISTED = component("ApiKey", _KEY)
_MADE = component(
    "NewApiKey", {**_KEY, "key": {"type": "string", "description": "The key itself; it is never shown again."}}
)
_PAGE = page_of("ApiKeyPage", _LISTED)
_NEW = Body(
    {
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 200},
            "scopes": {**_KEY["scopes"], "minItems": 1, "maxItems": len(SCOPES), "uniqueItems": True},
            "service_account": {
                "type": "string",
                "maxLength": 64,
                "description": "Id; otherwise it acts as you.",
            },
            "expires_at": {"type": "string", "maxLength": 40, "description": "A time with its offset."},
        },
        "required": ["name", "scopes"],
        "additionalProperties": False,
    },
    example={"name": "laptop", "scopes": ["runs:write", "runs:read"], "expires_at": "2030-01-31T12:00:00Z"},
)
_DAY_S = 24 * 3600
_ROTATE = Body(
    {
        "type": "object",
        "properties": {
            "overlap_s": {
                "type": "integer",
                "minimum": 0,
                "maximum": int(api_keys.MAX_OVERLAP.total_seconds()),
                "default": _DAY_S,
                "description": "Seconds for which the old key goes on.",
            },
            "expires_at": {"type": "string", "maxLength": 40, "description": "When the new key ends."},
        },
        "additionalProperties": False,
    },
    example={"overlap_s": 3600},
)
_PATH = {"key_id": "The key's id."}


class _Keys(View):
    """What the calls on keys share."""

    def check(self) -> None:
        """Raise `AccessDenied` for who may do nothing with keys."""
        if not permissions.can(self.principal, "admin"):
            self.require("keys:write")

    def rows(self) -> "QuerySet[ApiKey]":
        """Return the keys that the one who asks may see."""
        rows = ApiKey.objects.select_related("principal")
        return rows if permissions.can(self.principal, "admin") else rows.filter(principal=self.principal.user_id)

    def key(self, text: str) -> ApiKey:
        """Return the key; raises `NotFound`, and `AccessDenied` for who may do nothing with keys."""
        key = found(ApiKey.objects.all(), id=identifier(text))
        self.check()
        return found(self.rows(), id=key.id)

    def check_hands_out(self, scopes: list[str]) -> None:
        """Raise `AccessDenied` for a scope that the one who asks, or their own key, does not have."""
        for scope in scopes:
            self.require(scope)


class Keys(_Keys):
    """The tenant's keys, or one's own."""

    @call("listKeys", "List keys, newest first", answer=_PAGE, parameters=PAGING, refusals=(400, 422))
    def get(self, request: Request) -> Response:
        """List keys, newest first: owners those of the tenant, others their own."""
        self.check()
        page = Page(Query(self.plain_request, ("limit", "cursor")), name=f"keys.{self.principal.tenant_id}")
        with self.scope():
            return Response(page.of(self.rows(), lambda listed: [_json(key) for key in listed]))

    @call("createKey", "Make a key", status=201, answer=_MADE, body=_NEW)
    def post(self, request: Request) -> Response:
        """Make a key that acts as you, or as a service's account (owners only), with scopes you have yourself.

        The answer holds the key; it is shown this once. It ends no later than the key it is made with.
        """
        self.check()
        wanted = self.body(_NEW)
        if "service_account" in wanted:
            self.require("admin")
        self.check_hands_out(wanted["scopes"])
        with self.scope():
            key, text = api_keys.create(
                tenant=tenants.by_id(self.principal.tenant_id),
                name=wanted["name"],
                scopes=wanted["scopes"],
                member_email=self._acts_as(wanted).email,
                expires_at=_instant(wanted),
                made_with=self.principal.key_id,
                acting_as=self.principal.actor,
            )
            return _shown_once(key, text)

    def _acts_as(self, wanted: dict[str, Json]) -> User:
        if "service_account" not in wanted:
            return User.objects.get(id=self.principal.user_id)
        rows = Membership.objects.select_related("user").filter(user__is_service=True, is_active=True)
        try:
            return found(rows, user_id=identifier(wanted["service_account"])).user
        except NotFound as error:
            raise InvalidBody(faults=[Fault("/service_account", "There is no such active account.")]) from error


class OneKey(_Keys):
    """One key."""

    @call("getKey", "Read a key", answer=_LISTED, path=_PATH, refusals=(404,))
    def get(self, request: Request, key_id: str) -> Response:
        """Return what is known of the key; not the key."""
        with self.scope():
            return Response(_json(self.key(key_id)))

    @call("revokeKey", "Revoke a key", status=204, path=_PATH, refusals=(404,))
    def delete(self, request: Request, key_id: str) -> HttpResponse:
        """End the key now and for good. It stays in the list."""
        with self.scope():
            api_keys.revoke(self.key(key_id), acting_as=self.principal.actor)
        return HttpResponse(status=204)


class Rotation(_Keys):
    """A key's successor."""

    @call(
        "rotateKey",
        "Replace a key",
        status=201,
        answer=_MADE,
        body=_ROTATE,
        path=_PATH,
        refusals=(404, 409),
    )
    def post(self, request: Request, key_id: str) -> Response:
        """Make a key with the same scopes that acts as the same; the old one works on for `overlap_s`, then ends.

        The key of another person is not replaced but revoked. One that has ended or has a successor is a 409. The
        successor ends no later than the key it is made with.
        """
        with self.scope():
            key = self.key(key_id)
            if key.principal_id != self.principal.user_id and not key.principal.is_service:
                raise AccessDenied("Only the one it acts as replaces this key; you can revoke it.")
            self.check_hands_out(key.scopes)
            wanted = self.body(_ROTATE)
            successor, text = api_keys.rotate(
                key,
                overlap=timedelta(seconds=wanted.get("overlap_s", _DAY_S)),
                expires_at=_instant(wanted),
                made_with=self.principal.key_id,
                acting_as=self.principal.actor,
            )
            return _shown_once(successor, text)


def _instant(wanted: dict[str, Json]) -> Any:
    return instant(wanted["expires_at"], "/expires_at") if "expires_at" in wanted else None


def _shown_once(key: ApiKey, text: str) -> Response:
    return Response({**_json(key), "key": text}, status=201, headers={"Cache-Control": "no-store"})


def _json(key: ApiKey) -> Json:
    ends = api_keys.ends_at(key)
    return {
        "id": str(key.id),
        "name": key.name,
        "prefix": key.prefix,
        "scopes": key.scopes,
        "acts_as": key.principal.email,
        "status": _status(key, ends),
        "created_at": key.created_at.isoformat(),
        "expires_at": ends.isoformat() if ends else None,
        "last_used_at": key.last_used_at.isoformat() if key.last_used_at else None,
        "revoked_at": key.revoked_at.isoformat() if key.revoked_at else None,
        "successor": str(key.successor_id) if key.successor_id else None,
    }


def _status(key: ApiKey, ends: datetime | None) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if ends is not None and ends <= timezone.now() else "active"
