"""Platform staff in the console: they read a tenant that was opened for them, each request leaves a record."""

from uuid import uuid4

import pytest
from django.test import Client

from audit import journal
from audit.models import Record
from db.scope import tenant_scope
from signin import second_factor
from tenants.actions import staff, tenants
from tenants.models import User
from tenants.principal import COMMAND
from tests.console.conftest import PASSWORD, email, signed_in
from tests.worlds import World, add_factor


@pytest.fixture
def sam(acme: World) -> User:
    """Somebody of the platform's staff."""
    return add_factor(staff.add(email=f"sam@staff-{acme.slug}.example", acting_as=COMMAND))


@pytest.fixture
def browser(sam: User) -> Client:
    """Sam's browser, signed in."""
    client = Client()
    client.force_login(sam, backend="signin.backend.PeopleBackend")
    return client


def open_access(acme: World, sam: User) -> None:
    staff.open_access(
        tenants.by_id(acme.tenant_id), email=sam.email, reason="Ticket 4711: a run hangs.", hours=1, acting_as=COMMAND
    )


def looks(acme: World) -> list[tuple[str, str]]:
    with tenant_scope(acme.tenant_id):
        found = Record.objects.filter(action="staff.looked").order_by("id")
        return [(record.facts["route"], record.facts["method"]) for record in found]


def test_staff_find_no_tenant_that_was_not_opened(acme: World, globex: World, sam: User, browser: Client) -> None:
    open_access(globex, sam)
    hidden, missing = browser.get(f"/{acme.slug}/runs/"), browser.get("/nobody-at-all/runs/")

    assert hidden.status_code == missing.status_code == 404
    assert looks(acme) == looks(globex) == []


def test_staff_who_lost_their_second_factor_look_no_more(acme: World, sam: User, browser: Client) -> None:
    open_access(acme, sam)
    assert browser.get(f"/{acme.slug}/runs/").status_code == 200
    second_factor.remove_all(sam)

    sent = browser.get(f"/{acme.slug}/runs/")
    assert (sent.status_code, sent["Location"].split("?")[0]) == (302, "/accounts/enrol/")
    assert len(looks(acme)) == 1


def test_each_request_of_staff_is_one_record(acme: World, sam: User, browser: Client) -> None:
    open_access(acme, sam)
    run = acme.submit("refund-desk", {"a": 1}).id

    assert browser.get("/").status_code == 302
    assert browser.get(f"/{acme.slug}/runs/").status_code == 200
    assert browser.get(f"/{acme.slug}/runs/{run}/").status_code == 200
    assert browser.get(f"/{acme.slug}/runs/{uuid4()}/").status_code == 404
    assert looks(acme) == [("console:runs", "GET"), ("console:run", "GET"), ("console:run", "GET")]


def test_staff_are_told_that_they_look_as_such_and_members_are_not(acme: World, sam: User, browser: Client) -> None:
    open_access(acme, sam)
    shown = browser.get(f"/{acme.slug}/runs/").content.decode()

    assert "You look as platform staff until" in shown
    assert f"the journal of {acme.slug}" in shown
    assert "platform staff" not in signed_in(acme, "bob").get(f"/{acme.slug}/runs/").content.decode()


def test_staff_change_nothing(acme: World, sam: User, browser: Client) -> None:
    open_access(acme, sam)

    assert browser.post(f"/{acme.slug}/runs/").status_code in {403, 405}


def test_an_access_that_is_closed_shows_nothing_at_the_next_request(acme: World, sam: User, browser: Client) -> None:
    open_access(acme, sam)
    assert browser.get(f"/{acme.slug}/runs/").status_code == 200
    staff.close_access(tenants.by_id(acme.tenant_id), email=sam.email, acting_as=COMMAND)

    assert browser.get(f"/{acme.slug}/runs/").status_code == 404
    assert len(looks(acme)) == 1


def test_members_leave_no_such_record(acme: World) -> None:
    client = Client(REMOTE_ADDR=f"10.{uuid4().int % 250}.{uuid4().int % 250}.1")
    client.post("/accounts/login/", {"login": email(acme, "bob"), "password": PASSWORD})

    assert client.get(f"/{acme.slug}/runs/").status_code == 200
    assert looks(acme) == []


def test_a_look_that_cannot_be_recorded_is_not_answered(
    acme: World, sam: User, browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_access(acme, sam)

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the journal is not to be had")

    monkeypatch.setattr(journal, "record", fail)
    with pytest.raises(RuntimeError, match="not to be had"):
        browser.get(f"/{acme.slug}/runs/")
