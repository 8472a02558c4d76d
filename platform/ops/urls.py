"""The addresses of the probes."""

from django.urls import path

from ops import probes

urlpatterns = [
    path("healthz", probes.health, name="healthz"),
    path("readyz", probes.ready, name="readyz"),
]
