"""Django's reports of errors (the page with DEBUG on, and those by mail) without secrets.

By name, as Django does it, but for the variables of the traceback as well; then by value, whatever stands there.
"""

from collections.abc import ItemsView
from types import FrameType
from typing import Any, cast

from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.views.debug import ExceptionReporter, SafeExceptionReporterFilter

from config.redaction import hide


class Filter(SafeExceptionReporterFilter):
    """Cleanses local variables by name even with DEBUG on, where Django would show them."""

    def is_active(self, request: HttpRequest | None) -> bool:
        """Always."""
        return True

    def get_traceback_frame_variables(self, request: HttpRequest | None, tb_frame: FrameType) -> ItemsView[str, Any]:
        """Return the variables, those whose names speak of secrets without their values."""
        shown = super().get_traceback_frame_variables(request, tb_frame)
        return {name: self.cleanse_setting(name, value) for name, value in shown}.items()


class Reporter(ExceptionReporter):
    """Writes a report, and takes every secret that the process knows out of it."""

    def get_traceback_html(self) -> SafeString:
        """Return the page."""
        return cast(SafeString, hide(super().get_traceback_html()))

    def get_traceback_text(self) -> SafeString:
        """Return the text."""
        return cast(SafeString, hide(super().get_traceback_text()))
