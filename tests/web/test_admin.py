"""/admin is for staff, who come in by the sign-in page, see the queues, and change nothing."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from django.apps import apps
from django.contrib import admin
from django.test import Client

from tenants.models import User
from tests.console.conftest import hashed, peopled, signed_in
from tests.web.conftest import routes

pytestmark = pytest.mark.usefixtures("database")

SHOWN = {"django_q.Schedule", "django_q.Success", "django_q.Failure", "django_q.OrmQ"}


def staff() -> Client:
    """Return somebody of the installation's staff, signed in."""
    user = User.objects.create(email=f"{uuid4().hex}@staff.example", password=hashed(), is_staff=True)
    client = Client()
    client.force_login(user, backend="signin.backend.PeopleBackend")
    return client


def test_only_the_queues_are_shown() -> None:
    assert {model._meta.label for model in admin.site._registry} == SHOWN


def test_whoever_is_not_signed_in_is_sent_to_the_sign_in_page() -> None:
    for path in ("/admin/", "/admin/login/", "/admin/django_q/schedule/"):
        page = Client().get(path, follow=True)
        assert page.redirect_chain[-1][0].startswith("/accounts/login/?next=/admin/"), path


def test_djangos_own_sign_in_is_gone() -> None:
    page = Client().post("/admin/login/", {"username": "a@b.example", "password": "x"})

    assert page.status_code == 302
    assert page["Location"].startswith("/accounts/login/")


def test_members_who_are_no_staff_are_refused() -> None:
    client = signed_in(peopled(), "alice")

    for route in routes():
        if route.path.startswith("/admin/") and "logout" not in route.path:
            page = client.get(route.path, follow=True)
            assert page.status_code in {403, 404}, route


def test_staff_see_the_queues() -> None:
    client = staff()

    assert client.get("/admin/").status_code == 200
    for label in SHOWN:
        page = client.get(f"/admin/{label.lower().replace('.', '/')}/")
        assert page.status_code == 200
        assert "addlink" not in page.content.decode()


@pytest.mark.parametrize("label", sorted(SHOWN))
def test_staff_change_nothing(label: str) -> None:
    model = apps.get_model(label)
    if label == "django_q.Schedule":
        model.objects.create(func="print", schedule_type="O", next_run=datetime(2100, 1, 1, tzinfo=UTC))
    before = list(model.objects.values())
    client, place = staff(), f"/admin/{label.lower().replace('.', '/')}/"

    client.post(place, {"action": "delete_selected", "_selected_action": [str(row["id"]) for row in before]})
    for path in ("add/", *(f"{row['id']}/{verb}/" for row in before for verb in ("change", "delete"))):
        assert client.post(place + path, {"func": "os.system", "post": "yes"}).status_code == 403

    assert list(model.objects.values()) == before
    if label == "django_q.Schedule":
        model.objects.filter(func="print").delete()


def test_a_password_is_not_changed_here() -> None:
    assert staff().get("/admin/password_change/").status_code == 404
