"""Which app answers which address; the console's `/{tenant}/…` comes last because it takes whatever is left."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("ops.urls")),
    path("", include("web.urls")),
    path("admin/", admin.site.urls),
    path("", include("api.urls")),
    path("accounts/sso/", include("signin.oidc.urls")),
    path("accounts/invitations/", include("signin.invitations.urls")),
    path("accounts/", include("signin.urls")),
    path("", include("console.urls")),
]

handler400 = "api.problems.bad_request"
handler500 = "api.problems.server_error"
