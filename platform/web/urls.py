"""The addresses of no face: where browsers report to."""

from django.conf import settings
from django.urls import path

from web import reports

urlpatterns = [
    path(settings.REPORTING_PATH.removeprefix("/"), reports.collect, name="reports"),
]
