"""What stands around every page."""

import html
import re

import pytest
from django.conf import settings
from django.template.loader import render_to_string
from django.test import Client

from tenants.models import Role
from tests.console.conftest import signed_in
from tests.console.test_tools import as_role
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


def test_button_that_asks_back_sends_nothing_of_the_page_around_it() -> None:
    around = {
        "name": "do",
        "value": "remove",
        "order": "7",
        "id": "x",
        "at": "/",
        "label": "End it",
        "words": "End it?",
    }
    assert re.findall(r'<input[^>]* name="(\w+)"', render_to_string("console/parts/confirm.html", around)) == []


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


def test_an_address_that_takes_forms_only_says_so_and_what_to_do(acme: World) -> None:
    answer = signed_in(acme, "alice").get(f"/{acme.slug}/developers/keys/new/")
    assert (answer.status_code, answer["Allow"]) == (405, "POST")
    assert "only takes what a form sends" in answer.content.decode()


def test_a_page_that_answers_a_form_leads_nowhere_that_is_no_page(acme: World) -> None:
    olivia, base = as_role(acme, Role.OWNER), f"/{acme.slug}/"
    hook = olivia.post(f"{base}developers/webhooks/new/", {"name": "crm", "url": "https://crm.example/"})
    key = olivia.post(f"{base}developers/keys/new/", {"name": "k", "scopes": ["runs:read"], "ends": ""})
    invited = olivia.post(f"{base}settings/members/invite/", {"email": "no address", "role": "viewer"})
    for answer in (hook, key, invited):
        page = answer.content.decode()
        assert 'href="?' not in page
        for address in re.findall(r'<a [^>]*href="(/[^"#]*)', page) + re.findall(r'name="next" value="([^"]+)"', page):
            assert olivia.get(html.unescape(address)).status_code in {200, 302}, address


def test_who_sent_a_form_signs_in_and_comes_back_to_the_page_it_stood_on(acme: World) -> None:
    page, stranger = f"/{acme.slug}/settings/teams/", Client()
    there = stranger.post(f"{page}x/delete/", headers={"Referer": f"http://testserver{page}?q=1"})
    assert there["Location"] == f"/accounts/login/?next={page}%3Fq%3D1"
    for elsewhere in ({}, {"Referer": "https://evil.example/x"}):
        assert stranger.post(f"{page}x/delete/", headers=elsewhere)["Location"] == "/accounts/login/?next=/"
