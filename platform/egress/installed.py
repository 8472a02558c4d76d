"""The process's one guarded client, as the settings have it. The only part of egress that knows Django."""

from functools import lru_cache

from django.conf import settings

from egress.allow import parse_allow
from egress.client import Client


@lru_cache(maxsize=1)
def client() -> Client:
    """Return the client that every call of this process to a place of a tenant's choice goes through."""
    return Client(allow=parse_allow(settings.EGRESS_ALLOW))
