"""Where a request comes from: the proxy's word only when the installation says that there is one (TRUST_PROXY)."""

from allauth.account.adapter import get_adapter
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest


def address_of(request: HttpRequest) -> str:
    """Return the client's address, or "" when there is none, as behind a socket file without a proxy's word."""
    try:
        address: str = get_adapter(request).get_client_ip(request)
    except PermissionDenied:
        return ""
    return address
