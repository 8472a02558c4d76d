"""Which app answers which address; the console's `/{tenant}/…` comes last because it takes whatever is left."""

from importlib.util import find_spec

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("admin/", admin.site.urls),
    *(
        path("", include(f"{name}.urls"))
        for name in ("ops", "api", "console")
        if find_spec(f"{name}") and find_spec(f"{name}.urls")
    ),
]
