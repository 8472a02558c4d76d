"""The addresses of the console. Those of tenants take whatever is left, so they come last."""

from django.urls import URLPattern, URLResolver, include, path

from console.views import home, live, runs

app_name = "console"

_run = [
    path("", runs.timeline, name="run"),
    path("events/", runs.events, name="events"),
    path("events/<int:seq>/", runs.event, name="event"),
    path("steps/<int:seq>/", runs.step, name="step"),
    path("live/", live.live, name="live"),
]

_tenant: list[URLPattern | URLResolver] = [
    path("", home.tenant, name="tenant"),
    path("runs/", runs.listing, name="runs"),
    path("runs/<uuid:run>/", include(_run)),
]

urlpatterns = [
    path("", home.home, name="home"),
    path("favicon.ico", home.favicon, name="favicon"),
    path("theme/", home.theme, name="theme"),
    path("<slug:tenant>/", include(_tenant)),
]
