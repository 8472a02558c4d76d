"""Which addresses a provider may have."""

from django.conf import settings

from egress.allow import parse_allow
from egress.errors import EgressDenied
from egress.urls import parse


def why_unfit(url: object) -> str | None:
    """Say what is wrong with the address of a provider's page or interface, or None.

    It is https, or http where EGRESS_ALLOW names the place: otherwise tokens would travel in clear.
    """
    if not isinstance(url, str):
        return "It is not a text."
    try:
        read = parse(url)
    except EgressDenied as error:
        return error.detail
    if read.scheme == "https" or (read.host, read.port) in parse_allow(settings.EGRESS_ALLOW):
        return None
    return "Use https: over http what the provider says could be changed on its way."
