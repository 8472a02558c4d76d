"""Who comes in, who does not, and what the journal keeps of it."""

from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client

from db.scope import PLATFORM, tenant_scope
from tenants.actions import members, tenants
from tenants.models import Role, User
from tenants.principal import COMMAND
from tests.console.conftest import PASSWORD, email, signed_in
from tests.worlds import World


def sign_ins(scope: UUID, stream: UUID) -> list[tuple[str, str, str | None, str]]:
    """Return (action, actor, subject, outcome) of what a journal tells of sign-ins."""
    with tenant_scope(scope), connection.cursor() as cursor:
        cursor.execute(
            "SELECT action, actor, subject, outcome FROM audit_record "
            "WHERE tenant_id = %s AND stream = %s AND action LIKE 'login.%%' ORDER BY id",
            [scope, stream],
        )
        return [tuple(row) for row in cursor.fetchall()]


def everything(scope: UUID) -> str:
    with tenant_scope(scope), connection.cursor() as cursor:
        cursor.execute("SELECT facts::text FROM audit_record UNION ALL SELECT value FROM audit_payload")
        return "".join(str(row[0]) for row in cursor.fetchall())


def attempt(login: str, password: str) -> Any:
    return Client().post("/accounts/login/", {"login": login, "password": password})


def test_person_with_one_tenant_lands_on_its_home(acme: World) -> None:
    shown = signed_in(acme, "alice").get("/", follow=True)
    assert shown.redirect_chain[-1][0] == f"/{acme.slug}/"
    assert shown.status_code == 200


def test_person_with_several_tenants_chooses(acme: World, globex: World) -> None:
    there = tenants.by_slug(globex.slug)
    members.put(tenant=there, email=email(acme, "alice"), role=Role.VIEWER, acting_as=COMMAND)
    alice = signed_in(acme, "alice")
    shown = alice.get("/").content.decode()
    assert f'href="/{acme.slug}/"' in shown
    assert f'href="/{globex.slug}/"' in shown
    assert alice.get(f"/{globex.slug}/runs/").status_code == 200


def test_person_without_a_tenant_is_told_what_to_do(database: None) -> None:
    user = User.objects.create_user("nobody@nowhere.example", PASSWORD)
    client = Client()
    client.post("/accounts/login/", {"login": user.email, "password": PASSWORD})
    assert "You belong to no tenant yet" in client.get("/").content.decode()
    assert sign_ins(PLATFORM, user.id) == [("login.succeeded", f"user:{user.id}", f"user:{user.id}", "ok")]


def test_signing_in_and_out_leave_a_record_each(acme: World) -> None:
    alice = acme.alice.user_id
    client = signed_in(acme, "alice")
    client.post("/accounts/logout/")
    actor = f"user:{alice}"
    assert sign_ins(acme.tenant_id, alice) == [
        ("login.succeeded", actor, actor, "ok"),
        ("login.ended", actor, actor, "ok"),
    ]
    assert client.get(f"/{acme.slug}/runs/").status_code == 302


def test_refused_sign_in_leaves_a_record_with_the_tenant(acme: World) -> None:
    answer = attempt(email(acme, "alice"), "wrong horse")
    assert answer.status_code == 200
    alice = acme.alice.user_id
    assert sign_ins(acme.tenant_id, alice) == [("login.failed", "anonymous", f"user:{alice}", "denied")]
    assert "wrong horse" not in everything(acme.tenant_id)


def test_refused_sign_in_of_nobody_goes_to_the_platforms_own_journal(database: None) -> None:
    before = len(sign_ins(PLATFORM, PLATFORM))
    attempt("nobody-at-all@nowhere.example", "wrong horse")
    assert sign_ins(PLATFORM, PLATFORM)[before:] == [("login.failed", "anonymous", None, "denied")]
    assert "nobody-at-all" not in everything(PLATFORM)


def test_refusal_does_not_tell_whether_the_address_is_known(acme: World) -> None:
    known, unknown = attempt(email(acme, "alice"), "wrong horse"), attempt(f"x@{acme.slug}.example", "wrong horse")
    said = "The email address and/or password you specified are not correct."
    assert said in known.content.decode()
    assert said in unknown.content.decode()


def test_guessing_is_stopped(acme: World) -> None:
    answers = [attempt(email(acme, "alice"), f"guess {number}") for number in range(7)]
    assert "Too many failed login attempts" in answers[-1].content.decode()
    assert "Too many failed" in attempt(email(acme, "alice"), PASSWORD).content.decode()


def test_service_account_never_signs_in(acme: World) -> None:
    with tenant_scope(acme.tenant_id):
        robot = members.put_service(name="robot", role=Role.DEVELOPER, acting_as=COMMAND)
    robot.set_password(PASSWORD)
    robot.save()
    client = Client()
    client.post("/accounts/login/", {"login": robot.email, "password": PASSWORD})
    assert client.get(f"/{acme.slug}/runs/").status_code == 302


def test_closed_account_loses_its_open_session(acme: World) -> None:
    alice = signed_in(acme, "alice")
    User.objects.filter(id=acme.alice.user_id).update(is_active=False)
    assert alice.get(f"/{acme.slug}/runs/").status_code == 302


@pytest.mark.parametrize("page", ["signup", "email", "password/set", "2fa/trust"])
def test_there_is_no_sign_up(database: None, page: str) -> None:
    assert Client().get(f"/accounts/{page}/").status_code == 404


def test_sign_in_leads_back_inside_only(acme: World) -> None:
    client = Client()
    fields = {"login": email(acme, "alice"), "password": PASSWORD, "next": "https://elsewhere.example/"}
    assert client.post("/accounts/login/", fields)["Location"] == "/"


def test_forms_need_their_token(acme: World) -> None:
    client = Client(enforce_csrf_checks=True)
    answer = client.post("/accounts/login/", {"login": email(acme, "alice"), "password": PASSWORD})
    assert answer.status_code == 403
    assert "Nothing was changed" in answer.content.decode()


def test_colours_are_kept_in_the_browser_and_lead_back_inside_only(acme: World) -> None:
    alice = signed_in(acme, "alice")
    answer = alice.post("/theme/", {"theme": "dark", "next": f"/{acme.slug}/runs/"})
    assert answer["Location"] == f"/{acme.slug}/runs/"
    assert 'data-theme="dark"' in alice.get(f"/{acme.slug}/runs/").content.decode()
    assert alice.post("/theme/", {"theme": "dark", "next": "https://elsewhere.example/"})["Location"] == "/"
    alice.post("/theme/", {"theme": "<script>"})
    assert 'data-theme="dark"' in alice.get(f"/{acme.slug}/runs/").content.decode()
