"""What stands around every page."""

import pytest
from django.conf import settings

from tests.console.conftest import signed_in
from tests.worlds import World


@pytest.mark.parametrize(
    ("key", "base", "said"),
    [("rehearsal", "http://127.0.0.1:9", "Rehearsal"), ("", "", "No model"), ("sk-real", "", None)],
)
def test_page_says_when_no_supplier_answers(
    acme: World, monkeypatch: pytest.MonkeyPatch, key: str, base: str, said: str | None
) -> None:
    monkeypatch.setattr(settings, "ANTHROPIC_API_KEY", key)
    monkeypatch.setattr(settings, "ANTHROPIC_BASE_URL", base)
    shown = signed_in(acme, "alice").get(f"/{acme.slug}/runs/").content.decode()
    assert [words for words in ("Rehearsal", "No model") if words in shown] == ([said] if said else [])


def test_run_says_that_it_is_rehearsed(acme: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "ANTHROPIC_API_KEY", "rehearsal")
    run = acme.submit("refund-desk", {"order": "1"})
    shown = signed_in(acme, "alice").get(f"/{acme.slug}/runs/{run.id}/").content.decode()
    assert "Rehearsal: the model is a script" in shown


def test_error_page_says_what_to_do(acme: World) -> None:
    shown = signed_in(acme, "alice").get(f"/{acme.slug}/runs/nonsense/")
    assert shown.status_code == 404
    assert "Check the address" in shown.content.decode()


def test_wrong_method_is_refused(acme: World) -> None:
    assert signed_in(acme, "alice").post(f"/{acme.slug}/runs/").status_code == 405
