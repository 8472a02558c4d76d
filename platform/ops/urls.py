"""The addresses of the probes."""

from django.urls import path

from ops import metrics, probes

urlpatterns = [
    path("healthz", probes.health, name="healthz"),
    path("readyz", probes.ready, name="readyz"),
    path("metrics", metrics.show, name="metrics"),
]
