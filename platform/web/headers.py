"""What every answer tells a browser, whoever makes it: pages, problems, files, streams, errors of the framework.

django-csp gives pages their policy and Django's own middleware HSTS, nosniff, COOP and the referrer policy; this stands
in front of both, fills what is missing and names what a browser may do.
"""

from collections.abc import Awaitable
from typing import Any, Final, cast

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.deprecation import MiddlewareMixin

#: For what is no page: nothing in it runs, loads, posts or is framed, should a browser take it for one.
NO_PAGE_POLICY: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

#: Features no page here uses. Passkeys (publickey-credentials) and copying stay as browsers allow them: to this origin.
_UNUSED_FEATURES: Final = (
    "accelerometer", "autoplay", "camera", "display-capture", "encrypted-media", "fullscreen", "geolocation",
    "gyroscope", "hid", "idle-detection", "magnetometer", "microphone", "midi", "payment", "picture-in-picture",
    "screen-wake-lock", "serial", "sync-xhr", "usb", "xr-spatial-tracking",
)  # fmt: skip

PERMISSIONS_POLICY: Final = ", ".join(f"{feature}=()" for feature in _UNUSED_FEATURES)

_PAGES: Final = ("text/html", "application/xhtml+xml")


def always() -> dict[str, str]:
    """Return what each answer carries, also one that never reached Django."""
    told = {
        "Content-Security-Policy": NO_PAGE_POLICY,
        "Cache-Control": "no-store",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": PERMISSIONS_POLICY,
        "Referrer-Policy": str(settings.SECURE_REFERRER_POLICY),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": str(settings.X_FRAME_OPTIONS),
    }
    if settings.SECURE_HSTS_SECONDS:
        told["Strict-Transport-Security"] = f"max-age={settings.SECURE_HSTS_SECONDS}; includeSubDomains; preload"
    return told


class Headers(MiddlewareMixin):
    """Puts the headers on whatever comes back."""

    def __call__(self, request: HttpRequest) -> Any:
        """Answer the request."""
        return self.__acall__(request) if self.async_mode else _tell(cast(HttpResponseBase, self.get_response(request)))

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer the request; nothing here needs a thread."""
        return _tell(await cast(Awaitable[HttpResponseBase], self.get_response(request)))


def _tell(response: HttpResponseBase) -> HttpResponseBase:
    is_page = response.get("Content-Type", "").partition(";")[0] in _PAGES
    for name, value in always().items():
        if name not in response or (name == "Content-Security-Policy" and not is_page):
            response[name] = value
    if is_page:
        response["Reporting-Endpoints"] = f'{settings.REPORTING_GROUP}="{settings.REPORTING_PATH}"'
    return response
