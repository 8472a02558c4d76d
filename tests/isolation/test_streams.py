"""A stream shows what one may see, and ends by itself when that changes: over REST and on the page, from a real server,
for every way there is to lose a right."""

import http.client
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from db.scope import tenant_scope
from tenants.actions import api_keys, members, staff, tenants
from tenants.models import ApiKey, Membership, Role, User
from tenants.principal import COMMAND, Principal
from tests.api.conftest import caller
from tests.console import journals
from tests.worlds import World, add_factor, world

pytestmark = pytest.mark.usefixtures("database")

#: Generous bound on how long a stream may go on in silence.
PATIENCE_S = 60.0

Loses = Callable[[World, Principal], object]
Stream = Iterator[bytes]


@contextmanager
def following(server: str, path: str, **headers: str) -> Iterator[Stream]:
    """Open a stream; yield its lines that say something."""
    parts = urlsplit(server)
    with closing(http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=PATIENCE_S)) as connection:
        connection.request("GET", path, headers={"Accept": "text/event-stream", **headers})
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        with closing(answer):
            yield (line for line in answer if line.startswith((b"data:", b"event:")))


def membership(of: World, who: Principal) -> Membership:
    """Return the member's place; inside the scope or not."""
    with tenant_scope(of.tenant_id):
        return Membership.objects.get(user_id=who.user_id)


def key(of: World, who: Principal) -> ApiKey:
    """Return the member's key."""
    with tenant_scope(of.tenant_id):
        return ApiKey.objects.get(principal_id=who.user_id)


def expire(of: World, who: Principal) -> None:
    """Let the key run out now."""
    with tenant_scope(of.tenant_id):
        ApiKey.objects.filter(principal_id=who.user_id).update(expires_at=timezone.now())


#: What befalls a member, whichever way they came.
OF_MEMBERS: dict[str, Loses] = {
    "removed": lambda of, who: members.remove(membership(of, who), acting_as=COMMAND),
    "deactivated here": lambda of, who: members.deactivate(membership(of, who), acting_as=COMMAND),
    "deactivated everywhere": lambda of, who: User.objects.filter(id=who.user_id).update(is_active=False),
    "demoted": lambda of, who: members.change_role(membership(of, who), Role.VIEWER, acting_as=COMMAND),
}
OF_KEYS: dict[str, Loses] = {
    "key revoked": lambda of, who: api_keys.revoke(key(of, who), acting_as=COMMAND),
    "key expired": expire,
    "key rotated": lambda of, who: api_keys.rotate(key(of, who), overlap=timedelta(), acting_as=COMMAND),
}


def start(of: World) -> UUID:
    """Start a run and let a worker take it up."""
    of.define("agent", role="Does nothing.")
    run = of.submit("agent", {"a": 1}).id
    journals.begin(of, run)
    return run


def test_over_rest(web_server: str, django_db_setup: None) -> None:
    acme, other = world(), world()
    run = start(acme)
    path = f"/api/v1/runs/{run}/stream?after=2"
    ways = OF_MEMBERS | OF_KEYS
    with ExitStack() as opened:
        people = {way: acme.member(f"p{uuid4().hex[:8]}", Role.OPERATOR) for way in [*ways, "stays"]}
        streams = {
            way: opened.enter_context(following(web_server, path, Authorization=f"Bearer {caller(acme, who).key}"))
            for way, who in people.items()
        }
        for way, loses in ways.items():
            loses(acme, people[way])
        for way in ways:
            assert list(streams[way]) == [], way  # ended, though nothing happened in the run
        journals.append(acme, run, journals.ask_model(1))
        assert b"model.requested" in next(streams["stays"])

    parts = urlsplit(web_server)
    answers = []
    for wanted in (run, uuid4()):
        with closing(http.client.HTTPConnection(parts.hostname or "", parts.port or 80)) as connection:
            key_text = caller(other, other.alice).key
            connection.request("GET", f"/api/v1/runs/{wanted}/stream", headers={"Authorization": f"Bearer {key_text}"})
            answer = connection.getresponse()
            answers.append((answer.status, answer.read()))
    assert answers[0] == answers[1]
    assert answers[0][0] == 404


def end_session(of: World, who: Principal, client: Client) -> None:
    """End the session, as from another one."""
    Session.objects.filter(session_key=client.session.session_key).delete()


def change_password(of: World, who: Principal, client: Client) -> None:
    """Change the password elsewhere, which ends all sessions."""
    user = User.objects.get(id=who.user_id)
    user.set_password(uuid4().hex)
    user.save(update_fields=["password"])


OF_SESSIONS: dict[str, Callable[[World, Principal, Client], object]] = {
    "session ended": end_session,
    "password changed": change_password,
}


def signed_in(user_id: UUID) -> Client:
    """Return a browser that is signed in."""
    client = Client()
    client.force_login(User.objects.get(id=user_id), "signin.backend.PeopleBackend")
    return client


def cookies(client: Client) -> str:
    """Return the browser's cookies as a header."""
    return "; ".join(f"{name}={morsel.value}" for name, morsel in client.cookies.items())


def test_on_the_page(web_server: str, django_db_setup: None) -> None:
    acme = world()
    run = start(acme)
    path = f"/{acme.slug}/runs/{run}/live/?after=2"
    looker = add_factor(staff.add(email=f"{uuid4()}@staff.example", acting_as=COMMAND))
    tenant = tenants.by_id(acme.tenant_id)
    staff.open_access(tenant, email=looker.email, reason="Looks at a run.", hours=1, acting_as=COMMAND)
    with ExitStack() as opened:
        ways = [*OF_SESSIONS, *OF_MEMBERS]
        people = {way: acme.member(f"p{uuid4().hex[:8]}", Role.OPERATOR) for way in [*ways, "stays"]}
        clients = {way: signed_in(who.user_id) for way, who in people.items()} | {"staff": signed_in(looker.id)}
        streams = {
            way: opened.enter_context(following(web_server, path, Cookie=cookies(client)))
            for way, client in clients.items()
        }
        for way, ends in OF_SESSIONS.items():
            ends(acme, people[way], clients[way])
        for way, loses in OF_MEMBERS.items():
            loses(acme, people[way])
        staff.close_access(tenant, email=looker.email, acting_as=COMMAND)
        for way in [*ways, "staff"]:
            assert list(streams[way]) == [], way
        journals.append(acme, run, journals.ask_model(1))
        assert next(streams["stays"]) == b"event: changed\n"


def test_a_tenant_that_asks_for_a_second_factor_now_ends_the_pages_of_who_has_none(
    web_server: str, django_db_setup: None
) -> None:
    acme = world()
    run = start(acme)
    client = signed_in(acme.alice.user_id)
    with following(web_server, f"/{acme.slug}/runs/{run}/live/?after=2", Cookie=cookies(client)) as stream:
        tenant = tenants.by_id(acme.tenant_id)
        tenants.set_second_factor(tenant=tenant, require=True, trust_provider=False, acting_as=COMMAND)
        assert list(stream) == []
