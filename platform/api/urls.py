"""Addresses under /api/; whatever no route takes is a problem document too."""

from django.urls import include, path, re_path

from api import documentation, log, problems

app_name = "api"
urlpatterns = [
    path("api/v1/", include("api.v1.urls")),
    path("api/schema", documentation.schema, name="schema"),
    path("api/docs", documentation.docs, name="docs"),
    re_path(rf"^log/{log.LOG}/checkpoint\Z", log.Checkpoint.as_view(), name="log-checkpoint"),
    re_path(rf"^log/{log.LOG}/(?P<path>tile/[0-9a-z/.]{{1,120}})\Z", log.Tile.as_view(), name="log-tile"),
    re_path(r"^api(?:/|\Z)", problems.no_such_route),
]
