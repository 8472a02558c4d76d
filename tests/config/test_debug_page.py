"""Django's debug page, as somebody sees it who forgot that DEBUG is on."""

import sys
from typing import Any

import pytest
from django.conf import settings
from django.test import RequestFactory
from django.views.debug import get_exception_reporter_class, technical_500_response

from config import redaction

VALUE = "correct horse battery staple"


def crash(value: str, api_key: str) -> None:
    raise RuntimeError(f"the tool said {value}")


@pytest.mark.parametrize("accept", ["text/html", "text/plain"])
def test_it_shows_the_place_and_no_secret(accept: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "DEBUG", True)
    monkeypatch.setattr(redaction, "_recent", {})
    redaction.remember(VALUE)
    header: Any = {"Authorization": "Bearer " + "-".join(("nobody", "remembers")), "Accept": accept}
    request = RequestFactory(headers=header).post("/api/v1/runs", {"password": "x"})
    try:
        crash(VALUE, "-".join(("never", "remembered")))  # apart, for the page shows the code as well
    except RuntimeError:
        page = technical_500_response(request, *sys.exc_info()).content.decode()

    assert "test_debug_page.py" in page
    assert "the tool said [redacted]" in page
    assert VALUE not in page.replace(f'VALUE = "{VALUE}"', "")
    assert settings.SECRET_KEY not in page
    assert "never-remembered" not in page
    assert "nobody-remembers" not in page
    assert get_exception_reporter_class(request).__module__ == "config.debug_page"
