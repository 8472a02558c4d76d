"""The whole URLconf: every address is known, and each page is tried by everybody it is not for."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db import connections
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from pytest_django.plugin import DjangoDbBlocker

from agents.models import Run
from api.v1.urls import urlpatterns as of_the_interface
from db.scope import tenant_scope
from learning.models import Case
from tenants.actions import members
from tenants.models import Membership, Role, User
from tenants.principal import COMMAND
from tests.isolation.pages import NO, PAGES, addresses
from tests.worlds import World, world

ADDRESSES = {address.name: address for address in addresses()}

#: Everything under /api/ that no route takes: a problem document, whatever it is (tests/api/test_problems.py).
THE_REST = "api:^api(?:/|\\Z)"


def test_every_address_is_known() -> None:
    interface = {f"api:{pattern.name}" for pattern in of_the_interface}
    staff = {name for name in ADDRESSES if name.startswith("admin:")}

    assert set(ADDRESSES) - interface - staff - {THE_REST} == set(PAGES)
    assert {name for name, page in PAGES.items() if page.of_tenant} == {
        name for name, address in ADDRESSES.items() if "tenant" in address.variables and name.startswith("console:")
    }


@dataclass
class Scene:
    """A tenant with a run, and what addresses take."""

    world: World
    ids: dict[str, Any]

    def path(self, name: str, **other: Any) -> str:
        """Return the page's path."""
        ids = self.ids | other
        return reverse(name, kwargs={variable: ids[variable] for variable in ADDRESSES[name].variables})


def case_of(made: World, run: Run) -> UUID:
    """Return a case that alice kept of the run: bob sees that there is one, and lets none of hers go."""
    with tenant_scope(made.tenant_id):
        return Case.objects.create(
            tenant_id=made.tenant_id,
            agent_id=run.agent_id,
            version_id=run.version_id,
            run_id=run.id,
            source="run",
            tag="edge",
            kept_by_id=made.alice.user_id,
            created_at=datetime.now(UTC),
        ).id


@pytest.fixture(scope="module")
def scene(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Scene]:
    """The tenant, made once: nobody here changes anything in it."""
    with django_db_blocker.unblock():
        made = world()
        made.define("agent", role="Does nothing.")
        run = made.submit("agent", {"a": 1})
        things: dict[str, Any] = {"slug": "agent", "before": 1, "after": 1, "name": "tool", "record": uuid4()}
        ids = {"provider": "idp", "token": "token", "uidb36": "a", "key": "b-c", "pk": 1, "session": 1, "seq": 1}
        named = ["person", "invitation", "delegation", "webhook", "delivery", "api_key", "view", "grant"]
        named += ["export", "hold", "erasure", "change"]
        things |= {name: uuid4() for name in named} | {"case": case_of(made, run)}
        log = {"tenant_id": str(made.tenant_id), "generation": "1", "path": "tile/0/000.p/1"}
        yield Scene(made, {"tenant": made.slug, "run": run.id, "escalation": uuid4()} | things | ids | log)
        connections.close_all()


@pytest.fixture(autouse=True)
def _database(database: None) -> None:
    cache.clear()


def browser(user: User | None, **options: Any) -> Client:
    """Return a browser, signed in as that person."""
    client = Client(raise_request_exception=False, **options)
    if user is not None:
        client.force_login(user, "signin.backend.PeopleBackend")
    return client


def user(of: World, name: str) -> User:
    """Return a member of that tenant."""
    return User.objects.get(email=f"{name}@{of.slug}.example")


def ask(who: Client, method: str, path: str) -> Any:
    """Ask, and let go of a stream."""
    answer = getattr(who, method)(path, follow=False)
    answer.close()
    return answer


def told(answer: Any) -> tuple[int, bytes, frozenset[tuple[str, str]]]:
    """Return all of an answer; a page's nonce and CSRF token are new each time, and of its end only that it is over."""
    body = b"" if answer.streaming else re.sub(rb'(nonce|value)="[^"]*"', b"", answer.content)
    kept = {"Content-Security-Policy", "Content-Length", "Set-Cookie"}
    headers = {name: value for name, value in answer.headers.items() if name not in kept}
    if "Expires" in headers and parsedate_to_datetime(headers["Expires"]) <= datetime.now(UTC):
        headers["Expires"] = "over"
    return answer.status_code, body, frozenset(headers.items())


def test_answers_a_second_apart_are_told_alike_and_nothing_else_is() -> None:
    def at(moment: datetime, **more: str) -> Any:
        return told(HttpResponse(b"", headers={"Expires": format_datetime(moment, usegmt=True), **more}))

    now = datetime.now(UTC)
    over = at(now)
    assert over == at(now - timedelta(seconds=1))
    assert over != told(HttpResponse(b""))
    assert over != at(now, Location="/elsewhere")
    assert at(now + timedelta(days=1)) not in (over, at(now + timedelta(days=2)))


@pytest.mark.parametrize("name", PAGES)
def test_a_page_answers_strangers_and_members_as_the_table_says(scene: Scene, name: str) -> None:
    page, path = PAGES[name], scene.path(name)
    for place, client in enumerate((browser(None), browser(user(scene.world, "bob")))):
        for method, answers in (("get", page.get), ("post", page.post)):
            answer = ask(client, method, path)
            assert answer.status_code == answers[place], (method, place)
            if place == 0 and answer.status_code == 302 and name not in LEAD_ELSEWHERE:
                assert answer["Location"].startswith("/accounts/login/"), method
        for method in ("put", "patch", "delete", "trace"):
            status = ask(client, method, path).status_code
            assert status in {405, page.post[place], *STOPPED[place]}, (method, place)


#: Pages that send strangers elsewhere than to sign in.
LEAD_ELSEWHERE = {"console:favicon", "console:theme", "invitation_link", "account_logout", "mfa_index"}

#: Where a method that a page does not take may stop before that is seen: at signing in, at what there is not.
STOPPED = ({302}, {302, 404})


@pytest.mark.parametrize("name", [name for name, page in PAGES.items() if page.csrf and page.post != (405, 405)])
def test_nothing_is_done_without_the_pages_own_token(scene: Scene, name: str) -> None:
    client = browser(user(scene.world, "bob"), enforce_csrf_checks=True)
    for method in ("post", "put", "patch", "delete"):
        assert ask(client, method, scene.path(name)).status_code in {403, 405}, method


# --- the pages of a tenant, to those who are none of its members --------------------------------------------------


def carol(scene: Scene) -> User:
    """The owner of another tenant."""
    other = world()
    other.member("carol", Role.OWNER)
    return user(other, "carol")


def of_no_tenant(scene: Scene) -> User:
    """Somebody with an account and nothing else."""
    return User.objects.create_user(f"{uuid4()}@example.org")


def staff(scene: Scene) -> User:
    """One of the platform's staff, a superuser even, to whom nobody has opened the tenant."""
    return User.objects.create_superuser(f"{uuid4()}@example.org")


def _leaver(scene: Scene, leave: Callable[[Membership], Any]) -> User:
    name = f"p{uuid4().hex[:8]}"
    person = scene.world.member(name, Role.OPERATOR)
    with tenant_scope(scene.world.tenant_id):
        membership = Membership.objects.get(user_id=person.user_id)
    leave(membership)
    return user(scene.world, name)


def removed(scene: Scene) -> User:
    """One who was an operator of the tenant."""
    return _leaver(scene, lambda membership: members.remove(membership, acting_as=COMMAND))


def deactivated(scene: Scene) -> User:
    """One whose place in the tenant is deactivated."""
    return _leaver(scene, lambda membership: members.deactivate(membership, acting_as=COMMAND))


TENANTS = [name for name, page in PAGES.items() if page.of_tenant]


@pytest.mark.parametrize("who", [carol, of_no_tenant, staff, removed, deactivated], ids=lambda who: who.__name__)
def test_who_is_no_member_finds_what_is_at_an_address_nobody_has(scene: Scene, who: Callable[[Scene], User]) -> None:
    client = browser(who(scene))
    for name in TENANTS:
        for method in ("get", "post"):
            hidden = ask(client, method, scene.path(name))
            absent = ask(client, method, scene.path(name, tenant="nobody-here"))
            answers = PAGES[name].get if method == "get" else PAGES[name].post
            expected = 405 if answers == NO else 404
            assert hidden.status_code == expected, (name, method)
            assert told(hidden) == told(absent), (name, method)


def test_another_tenants_run_is_one_that_does_not_exist(scene: Scene) -> None:
    other = world()
    client = browser(user(other, "alice"))
    for name in TENANTS:
        if "run" in ADDRESSES[name].variables:
            method = "get" if PAGES[name].get != NO else "post"
            hidden = ask(client, method, scene.path(name, tenant=other.slug))
            absent = ask(client, method, scene.path(name, tenant=other.slug, run=uuid4()))
            assert hidden.status_code == 404, name
            assert told(hidden) == told(absent), name


def closed_account(scene: Scene) -> Client:
    """A session of somebody whose account was closed meanwhile."""
    client = browser(_leaver(scene, lambda membership: None))
    assert client.get(scene.path("console:runs")).status_code == 200
    User.objects.filter(id=client.session["_auth_user_id"]).update(is_active=False)
    return client


def ended_session(scene: Scene) -> Client:
    """A session that was ended from another one."""
    client = browser(user(scene.world, "alice"))
    assert client.get(scene.path("console:runs")).status_code == 200
    Session.objects.filter(session_key=client.session.session_key).delete()
    return client


def changed_password(scene: Scene) -> Client:
    """A session from before the password was changed."""
    person = _leaver(scene, lambda membership: None)
    client = browser(person)
    assert client.get(scene.path("console:runs")).status_code == 200
    person.set_password(uuid4().hex)
    person.save(update_fields=["password"])
    return client


def forged_cookie(scene: Scene) -> Client:
    """A cookie somebody made up."""
    client = browser(None)
    client.cookies["sessionid"] = "a" * 32
    return client


@pytest.mark.parametrize(
    "who", [closed_account, ended_session, changed_password, forged_cookie], ids=lambda who: who.__name__
)
def test_a_session_that_is_none_any_more_opens_nothing(scene: Scene, who: Callable[[Scene], Client]) -> None:
    client, stranger = who(scene), browser(None)
    for name in TENANTS:
        path = scene.path(name)
        answer = ask(client, "get", path)
        assert answer.status_code == PAGES[name].get[0], name
        assert answer.get("Location") == ask(stranger, "get", path).get("Location"), name


# --- what is somebody else's --------------------------------------------------------------------------------------


def test_another_persons_session_is_one_that_does_not_exist(scene: Scene) -> None:
    from allauth.usersessions.models import UserSession

    bob, alice = browser(user(scene.world, "bob")), browser(user(scene.world, "alice"))
    assert bob.get(scene.path("console:runs")).status_code == alice.get(scene.path("console:runs")).status_code == 200
    theirs = UserSession.objects.create(
        user=user(scene.world, "bob"), ip="10.0.0.1", user_agent="", session_key=bob.session.session_key
    )

    hidden = ask(alice, "post", scene.path("account_end_session", session=theirs.pk))
    absent = ask(alice, "post", scene.path("account_end_session", session=theirs.pk + 10_000))

    assert hidden.status_code == 404
    assert told(hidden) == told(absent)
    assert bob.get(scene.path("console:runs")).status_code == 200


def test_another_persons_key_of_a_passkey_is_one_that_does_not_exist(scene: Scene) -> None:
    from allauth.mfa.models import Authenticator

    owner = _leaver(scene, lambda membership: None)
    theirs = Authenticator.objects.create(user=owner, type="webauthn", data={"name": "Theirs"})
    alice = browser(user(scene.world, "alice"))
    for method in ("get", "post", "delete"):
        hidden = ask(alice, method, scene.path("mfa_remove_webauthn", pk=theirs.pk))
        absent = ask(alice, method, scene.path("mfa_remove_webauthn", pk=theirs.pk + 10_000))
        assert hidden.status_code == 404, method
        assert told(hidden) == told(absent), method
    assert Authenticator.objects.filter(pk=theirs.pk).exists()


@pytest.mark.parametrize("name", ["sso_tenant", "sso_leave", "sso_callback"])
def test_signing_in_does_not_tell_which_tenants_there_are(scene: Scene, name: str) -> None:
    method = "get" if PAGES[name].get != (405, 405) else "post"

    there = ask(browser(None), method, scene.path(name))
    nowhere = ask(browser(None), method, scene.path(name, tenant="nobody-here"))

    assert told(there) == told(nowhere)


# --- the installation's own pages ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in ADDRESSES if name.startswith("admin:")])
def test_the_pages_of_staff_are_closed_to_everybody_else(scene: Scene, name: str) -> None:
    ids = {variable: "django_q" if variable in {"app_label", "url"} else "1" for variable in ADDRESSES[name].variables}
    path = reverse(name, kwargs=ids) if ADDRESSES[name].named else "/admin/django_q/ormq/1/"
    for method in ("get", "post"):
        stranger, member = ask(browser(None), method, path), ask(browser(user(scene.world, "alice")), method, path)
        assert stranger.status_code in {302, 404, 405}, method
        assert stranger.get("Location", "/accounts/login/").startswith(("/accounts/login/", "/admin/")), method
        assert member.status_code in {302, 403, 404, 405}, method
