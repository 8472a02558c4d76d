"""The process's one guarded client, as the settings have it. The only part of egress that knows Django."""

from functools import lru_cache

from django.conf import settings

from egress.allow import parse_allow
from egress.client import Client


@lru_cache(maxsize=1)
def client() -> Client:
    """Return the client that every call of this process to a place of a tenant's choice goes through."""
    return Client(allow=parse_allow(settings.EGRESS_ALLOW))


def webhook_client() -> Client:
    """Return the client of webhooks and callbacks, with private places of its own, if there are such (WEBHOOKS_ALLOW).

    Where tools may go whoever starts a run need not be able to send its result, and the other way round.
    """
    return client() if settings.WEBHOOKS_ALLOW is None else _of_webhooks_alone(settings.WEBHOOKS_ALLOW)


@lru_cache(maxsize=1)
def _of_webhooks_alone(places: tuple[str, ...]) -> Client:
    return Client(allow=parse_allow(places), setting="WEBHOOKS_ALLOW")
