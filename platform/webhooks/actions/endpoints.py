"""Define webhooks, change their secrets, have a delivery sent again."""

import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import QuerySet

from access.acting import acting
from access.permissions import check
from agents.actions.runs import transaction_time
from audit import journal
from db.scope import current_tenant_id
from egress.errors import EgressError
from egress.urls import parse
from tenants.models import Tenant
from tenants.principal import Principal
from webhooks import secrets_of, signing
from webhooks.errors import (
    BadUrl,
    HostNotAllowed,
    NameTaken,
    SecretElsewhere,
    TooManyWebhooks,
    UnknownDelivery,
    UnknownWebhook,
    WebhookPaused,
)
from webhooks.events import EVENTS
from webhooks.models import Delivery, Endpoint

Json = Any

#: Who pauses a webhook that answered that it is gone.
SENDER: Final = "system:webhooks"

#: How long the former secret signs too, in seconds, at most.
MAX_OVERLAP_S: Final = 30 * 24 * 3600

#: Webhooks of a tenant, at most (`TooManyWebhooks` says the number too).
MAX: Final = 50

#: What events tell, by the first part of their type, and the permission to read it.
_TO_READ: Final = {"run": "runs:read", "escalation": "escalations:read"}

_REFERENCE: Final = "secret:"


def add(
    name: str, url: str, events: Sequence[str], *, form: str = "standard", acting_as: Principal
) -> tuple[Endpoint, str]:
    """Make a webhook; returns it with the secret that signs, which is told this once.

    events: types (`webhooks.events`); none for all. form: of the body. Who makes it must be allowed to read what
    they tell.
    Raises `NameTaken`, `BadUrl`, `TooManyWebhooks`, `AccessDenied`.
    """
    with acting(acting_as, "webhooks:write") as actor:
        _check_told(events, acting_as)
        check_url(url)
        if Endpoint.objects.filter(name=name).exists():
            raise NameTaken
        _check_room()
        secret = signing.written(os.urandom(32))
        endpoint = Endpoint(name=name, url=url, events=sorted(set(events)), form=form)
        endpoint.sealed = secrets_of.seal(endpoint, secret)
        endpoint.save()
        _record("webhook.added", endpoint, actor)
        return endpoint, secret


def change(endpoint_id: UUID, changes: Mapping[str, Json], *, acting_as: Principal) -> Endpoint:
    """Change `url`, `events`, `form` or `active`; what is not named stays.

    Pausing needs `webhooks:write` alone. Raises `UnknownWebhook`, `BadUrl`, `AccessDenied`.
    """
    with acting(acting_as, "webhooks:write") as actor:
        endpoint = locked(endpoint_id)
        before = (endpoint.url, endpoint.events, endpoint.form, endpoint.is_active)
        if "url" in changes:
            check_url(changes["url"])
            endpoint.url = changes["url"]
        if "events" in changes:
            endpoint.events = sorted(set(changes["events"]))
        endpoint.form = changes.get("form", endpoint.form)
        if changes.keys() - {"active"} or changes.get("active"):
            _check_told(endpoint.events, acting_as)
        endpoint.is_active = changes.get("active", endpoint.is_active)
        if before == (endpoint.url, endpoint.events, endpoint.form, endpoint.is_active):
            return endpoint
        endpoint.save()
        _record("webhook.changed", endpoint, actor)
        return endpoint


def put(name: str, spec: Mapping[str, Json], *, acting_as: Principal | str) -> Endpoint:
    """Make the webhook what its document says: `{url, events, form, secret: "secret:NAME"}`.

    One that is so already is returned without a record. Raises `BadUrl`, `TooManyWebhooks`, `AccessDenied`.
    """
    with acting(acting_as, "webhooks:write") as actor:
        _check_told(spec.get("events", ()), acting_as)
        check_url(spec["url"])
        endpoint = Endpoint.objects.select_for_update().filter(name=name).first()
        secret_name = spec["secret"].removeprefix(_REFERENCE)
        wanted = (spec["url"], sorted(set(spec.get("events", ()))), spec.get("form", "standard"), secret_name)
        if endpoint is not None and (endpoint.url, endpoint.events, endpoint.form, endpoint.secret_name) == wanted:
            return endpoint
        if endpoint is None:
            _check_room()
        action = "webhook.changed" if endpoint is not None else "webhook.added"
        endpoint = endpoint or Endpoint(name=name)
        endpoint.url, endpoint.events, endpoint.form, endpoint.secret_name = wanted
        endpoint.sealed = endpoint.sealed_former = ""
        endpoint.save()
        _record(action, endpoint, actor)
        return endpoint


def gone(endpoint_id: UUID) -> None:
    """Pause a webhook of the tenant in scope that answered 410; one that is paused or removed already stays so."""
    with acting(SENDER) as actor:
        endpoint = Endpoint.objects.select_for_update().filter(id=endpoint_id, is_active=True).first()
        if endpoint is None:
            return
        endpoint.is_active = False
        endpoint.save()
        _record("webhook.changed", endpoint, actor)


def rotate(endpoint_id: UUID, overlap_s: int, *, acting_as: Principal) -> tuple[Endpoint, str]:
    """Give it another secret, which is told this once; the former one signs too for `overlap_s` seconds.

    Raises `UnknownWebhook`, `SecretElsewhere`.
    """
    with acting(acting_as, "webhooks:write") as actor:
        endpoint = locked(endpoint_id)
        if endpoint.secret_name is not None:
            raise SecretElsewhere
        secret = signing.written(os.urandom(32))
        endpoint.sealed, endpoint.sealed_former = secrets_of.seal(endpoint, secret), endpoint.sealed
        endpoint.former_until = transaction_time() + timedelta(seconds=overlap_s)
        endpoint.save()
        _record("webhook.rotated", endpoint, actor)
        return endpoint, secret


def remove(endpoint_id: UUID, *, acting_as: Principal) -> None:
    """Forget a webhook with its log. Raises `UnknownWebhook`."""
    with acting(acting_as, "webhooks:write") as actor:
        endpoint = locked(endpoint_id)
        _record("webhook.removed", endpoint, actor)
        endpoint.delete()


def replay(endpoint_id: UUID, delivery_id: UUID, *, acting_as: Principal) -> Delivery:
    """Have a delivery sent again, under the id it had, for another day.

    Raises `UnknownWebhook`, `UnknownDelivery`, `WebhookPaused`.
    """
    with acting(acting_as, "webhooks:write") as actor:
        endpoint = locked(endpoint_id)
        delivery = Delivery.objects.select_for_update().filter(id=delivery_id, endpoint=endpoint).first()
        if delivery is None:
            raise UnknownDelivery
        if not endpoint.is_active:
            raise WebhookPaused
        now = transaction_time()
        delivery.status, delivery.attempts, delivery.next_at, delivery.created_at = "pending", 0, now, now
        delivery.save()
        journal.record(
            "webhook.replayed",
            stream=endpoint.id,
            actor=actor,
            facts={"delivery": str(delivery.id), "of": delivery.type},
        )
        return delivery


def check_url(url: str) -> None:
    """Raise `BadUrl` unless the guarded client could read the address and the tenant in scope lets it be told.

    Whether it may be reached shows at the call.
    """
    try:
        parse(url)
    except EgressError as error:
        raise BadUrl(error.detail) from error
    check_host(url)


def check_host(url: str) -> None:
    """Raise `HostNotAllowed` unless the tenant in scope lets the host of a readable address be told."""
    hosts = Tenant.objects.values_list("webhook_hosts", flat=True).get(id=current_tenant_id())
    if hosts is not None and parse(url).host not in hosts:
        raise HostNotAllowed


def locked(endpoint_id: UUID) -> Endpoint:
    """Return the webhook of the tenant in scope, its row locked; raises `UnknownWebhook`."""
    endpoint = Endpoint.objects.select_for_update().filter(id=endpoint_id).first()
    if endpoint is None:
        raise UnknownWebhook
    return endpoint


def spec_of(endpoint: Endpoint) -> dict[str, Json]:
    """Return the webhook as a document's `spec`. A secret that was made here has no name to write down."""
    spec: dict[str, Json] = {"url": endpoint.url, "events": list(endpoint.events)}
    if endpoint.form != "standard":
        spec["form"] = endpoint.form
    return spec | {"secret": f"{_REFERENCE}{endpoint.secret_name}"} if endpoint.secret_name else spec


def named() -> "QuerySet[Endpoint]":
    """Return those that documents can name: signed with a secret of the tenant."""
    return Endpoint.objects.filter(secret_name__isnull=False).order_by("name")


def uses_of_secret(name: str) -> list[str]:
    """Return what uses a secret of the tenant here, in words."""
    return [f"the webhook {each}" for each in named().filter(secret_name=name).values_list("name", flat=True)]


def _check_told(events: Iterable[str], acting_as: Principal | str) -> None:
    """Raise `AccessDenied` unless who has the webhook told of `events` may read what they tell."""
    told = list(events) or EVENTS
    if isinstance(acting_as, Principal):
        for permission in sorted({_TO_READ[kind] for each in told if (kind := each.split(".")[0]) in _TO_READ}):
            check(acting_as, permission)


def _check_room() -> None:
    if Endpoint.objects.count() >= MAX:
        raise TooManyWebhooks


def _record(action: str, endpoint: Endpoint, actor: str) -> None:
    facts = {"events": list(endpoint.events), "form": endpoint.form, "active": endpoint.is_active}
    payload = {"name": endpoint.name, "url": endpoint.url, "secret": endpoint.secret_name}
    journal.record(action, stream=endpoint.id, actor=actor, facts=facts, payload=payload)
