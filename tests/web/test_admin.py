"""/admin is for staff, who come in with a second factor, see the queues, are seen to, and change nothing."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from django.apps import apps
from django.contrib import admin
from django.test import Client
from django.urls import resolve

from audit.models import Record
from db.scope import PLATFORM, tenant_scope
from tenants.models import User
from tests.console.conftest import hashed, peopled, signed_in
from tests.journal.conftest import Failing, failing, superuser
from tests.web.conftest import routes
from tests.worlds import add_factor

__all__ = ["failing", "superuser"]

pytestmark = pytest.mark.usefixtures("database")

SHOWN = {"django_q.Schedule", "django_q.Success", "django_q.Failure", "django_q.OrmQ"}


def staffer() -> User:
    """Return somebody of the installation's staff, with a second factor."""
    return add_factor(User.objects.create(email=f"{uuid4().hex}@staff.example", password=hashed(), is_staff=True))


def staff(user: User | None = None) -> Client:
    """Return somebody of the installation's staff, signed in."""
    user, client = user or staffer(), Client()
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


def test_staff_without_a_second_factor_are_sent_to_add_one() -> None:
    user = User.objects.create(
        email=f"{uuid4().hex}@staff.example", password=hashed(), is_staff=True, is_superuser=True
    )
    client = staff(user)

    for route in routes():
        if route.path.startswith("/admin/") and "logout" not in route.path:
            page = client.get(route.path, follow=True)
            assert page.redirect_chain[-2][0].startswith("/accounts/enrol/?next=/admin/"), route
    assert looks(user) == []


def looks(user: User) -> list[tuple[str, str]]:
    """Return (route, method) of each look that the platform's journal tells of."""
    with tenant_scope(PLATFORM):
        found = Record.objects.filter(action="staff.looked", stream=user.id, actor=f"user:{user.id}").order_by("id")
        return [(record.facts["route"], record.facts["method"]) for record in found]


def test_each_request_of_staff_is_one_record() -> None:
    user = staffer()
    client = staff(user)

    client.get("/admin/")
    client.get("/admin/django_q/ormq/?o=1")
    client.post("/admin/django_q/ormq/")
    client.get("/admin/no/such/page/")
    Client().get("/admin/")

    assert looks(user) == [
        ("admin:index", "GET"),
        ("admin:django_q_ormq_changelist", "GET"),
        ("admin:django_q_ormq_changelist", "POST"),
        (resolve("/admin/no/such/page/").view_name, "GET"),
    ]


def test_a_look_that_cannot_be_recorded_is_not_answered(failing: Failing) -> None:
    client = staff()
    client.raise_request_exception = False

    with failing():
        page = client.get("/admin/")

    assert page.status_code == 500
    assert b"Schedule" not in page.content


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
    page = staff().get("/admin/password_change/")

    assert (page.status_code, page["Location"]) == (302, "/accounts/password/change/")
