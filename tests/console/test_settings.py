"""Settings and Developers: who opens what, what their forms do, and what they say when they are refused."""

import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from console.pages import TABS
from db.scope import tenant_scope
from escalations.models import Delegation
from signin.models import EmailDomain, IdentityProvider
from tenants.models import ApiKey, Invitation, Membership, Role, Team, Tenant, User
from tests.console.conftest import email, peopled, signed_in
from tests.console.test_tools import as_role
from tests.worlds import World
from webhooks.models import Delivery, Endpoint


@pytest.fixture
def olivia(acme: World) -> Client:
    """An owner."""
    return as_role(acme, Role.OWNER)


def page(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, path
    return answer.content.decode()


def member(world: World, name: str) -> Membership:
    with tenant_scope(world.tenant_id):
        return Membership.objects.select_related("user").get(user__email=email(world, name))


def test_each_role_is_shown_the_pages_it_may_open_and_no_other(acme: World) -> None:
    base = f"/{acme.slug}/"
    for role in Role:
        client = as_role(acme, role)
        shown = page(client, base)
        for place in TABS:
            home = f"{base}{place.removeprefix('console:')}/"
            answer = client.get(home, follow=True)
            assert (f'href="{home}"' in shown) == (answer.status_code == 200), (role, place)
            if answer.status_code == 200:
                tabs = re.search(r'<ul class="views tabs".*?</ul>', answer.content.decode(), re.DOTALL)
                assert tabs
                for address in re.findall(r'href="([^"]+)"', tabs[0]):
                    assert client.get(address).status_code == 200, (role, address)


def test_somebody_is_invited_by_mail_and_the_invitation_withdrawn(acme: World, olivia: Client) -> None:
    base = f"/{acme.slug}/settings/members/"
    sent = olivia.post(f"{base}invite/", {"email": "new@acme.example", "role": "reviewer"}, follow=True)
    assert "was sent a link" in sent.content.decode()
    assert mail.outbox[-1].to == ["new@acme.example"]
    assert "new@acme.example" in page(olivia, base)
    with tenant_scope(acme.tenant_id):
        made = Invitation.objects.get()
    olivia.post(f"{base}invitations/{made.id}/withdraw/")
    page(olivia, base)  # which says that it is done
    assert "new@acme.example" not in page(olivia, base)
    refused = olivia.post(f"{base}invite/", {"email": "no address", "role": "operator"})
    assert 400 <= refused.status_code < 500
    assert 'value="no address"' in refused.content.decode()


def test_a_member_changes_role_and_is_let_go(acme: World, olivia: Client) -> None:
    base, bob = f"/{acme.slug}/settings/members/", member(acme, "bob").user_id
    assert email(acme, "bob") in page(olivia, f"{base}?q=bob")
    assert "name or address holds" in page(olivia, f"{base}?q=nobody")
    olivia.post(f"{base}{bob}/change/", {"do": "role", "role": "developer"})
    assert member(acme, "bob").role == "developer"
    olivia.post(f"{base}{bob}/change/", {"do": "deactivate"})
    assert "deactivated" in page(olivia, f"{base}{bob}/")
    olivia.post(f"{base}{bob}/change/", {"do": "reactivate"})
    olivia.post(f"{base}{bob}/change/", {"do": "remove"})
    assert olivia.get(f"{base}{bob}/").status_code == 404


def test_what_no_form_offers_is_refused_and_changes_nothing(acme: World, olivia: Client) -> None:
    rita, base = member(acme, "rita"), f"/{acme.slug}/settings/"
    for wrong in ({"do": "role", "role": "boss"}, {"do": "role"}, {"do": "promote", "role": "viewer"}, {}):
        olivia.post(f"{base}members/{rita.user_id}/change/", wrong)
        assert member(acme, "rita").role == rita.role, wrong
    assert olivia.post(f"{base}members/invite/", {"email": "x@y.example", "role": "boss"}).status_code == 422
    assert olivia.post(f"{base}service-accounts/new/", {"name": "portal", "role": "boss"}).status_code == 422
    key = {"name": "k", "scopes": ["runs:read"], "ends": "36500"}
    assert olivia.post(f"/{acme.slug}/developers/keys/new/", key).status_code == 422
    with tenant_scope(acme.tenant_id):
        assert not ApiKey.objects.exists()


def test_the_last_owner_stays_and_is_told_why(acme: World, olivia: Client) -> None:
    with tenant_scope(acme.tenant_id):
        me = Membership.objects.get(role=Role.OWNER).user_id
    base = f"/{acme.slug}/settings/members/{me}/"
    answer = olivia.post(f"{base}change/", {"do": "role", "role": "viewer"}, follow=True)
    assert "owner" in answer.content.decode()
    with tenant_scope(acme.tenant_id):
        assert Membership.objects.get(user_id=me).role == Role.OWNER


def test_operators_see_members_and_change_nothing(acme: World) -> None:
    alice, base, bob = signed_in(acme, "alice"), f"/{acme.slug}/settings/members/", member(acme, "bob").user_id
    shown = page(alice, f"{base}{bob}/")
    assert "Change the role" not in shown
    assert alice.post(f"{base}{bob}/change/", {"do": "remove"}).status_code == 403
    assert alice.post(f"{base}invite/", {"email": "x@y.example", "role": "owner"}).status_code == 403


def test_a_team_is_made_changed_and_deleted(acme: World, olivia: Client) -> None:
    base, bob = f"/{acme.slug}/settings/teams/", email(acme, "bob")
    assert "No team yet" in page(olivia, base)
    assert olivia.post(f"{base}new/", {"slug": "credit", "name": "قسم", "members": f"{bob}\r\n"}).status_code == 302
    refused = olivia.post(f"{base}new/", {"slug": "credit", "members": ""})
    assert refused.status_code == 409
    unknown = olivia.post(f"{base}credit/", {"slug": "credit", "members": "nobody@x.example"})
    assert 400 <= unknown.status_code < 500
    assert "nobody@x.example" in unknown.content.decode()
    olivia.post(f"{base}credit/", {"slug": "lending", "members": ""})
    with tenant_scope(acme.tenant_id):
        assert Team.objects.get().slug == "lending"
    olivia.post(f"{base}lending/delete/")
    with tenant_scope(acme.tenant_id):
        assert not Team.objects.exists()


def test_a_program_gets_an_account_and_a_key_that_is_shown_once(acme: World, olivia: Client) -> None:
    made = olivia.post(f"/{acme.slug}/settings/service-accounts/new/", {"name": "portal", "role": "developer"})
    account = made["Location"].rstrip("/").rsplit("/", 1)[1]
    base = f"/{acme.slug}/developers/keys/"
    shown = olivia.post(f"{base}new/", {"name": "k", "account": account, "scopes": ["runs:read"], "ends": "30"})
    [text] = re.findall(r"cs_[A-Za-z0-9_-]{43}", shown.content.decode())[:1]
    assert text not in page(olivia, base)
    assert shown["Cache-Control"].find("no-store") >= 0
    called = Client().get("/api/v1/runs", headers={"Authorization": f"Bearer {text}"})
    assert called.status_code == 200
    with tenant_scope(acme.tenant_id):
        [key] = ApiKey.objects.all()
    again = olivia.post(f"{base}{key.id}/rotate/").content.decode()
    assert len(set(re.findall(r"cs_[A-Za-z0-9_-]{43}", again))) == 1
    olivia.post(f"{base}{key.id}/revoke/")
    assert "revoked" in page(olivia, base)


def test_a_key_holds_no_scope_that_its_maker_lacks_and_the_form_keeps_what_was_typed(acme: World) -> None:
    dev, base = as_role(acme, Role.DEVELOPER), f"/{acme.slug}/developers/keys/"
    assert 'value="admin"' not in page(dev, base)
    refused = dev.post(f"{base}new/", {"name": "too <much>", "scopes": ["admin"], "ends": ""})
    assert refused.status_code == 403
    assert "too &lt;much&gt;" in refused.content.decode()
    none = dev.post(f"{base}new/", {"name": "x", "ends": ""})
    assert 400 <= none.status_code < 500
    with tenant_scope(acme.tenant_id):
        assert not ApiKey.objects.exists()


def test_another_members_key_is_none_for_a_developer(acme: World, olivia: Client) -> None:
    olivia.post(f"/{acme.slug}/developers/keys/new/", {"name": "hers", "scopes": ["runs:read"], "ends": ""})
    dev = as_role(acme, Role.DEVELOPER)
    with tenant_scope(acme.tenant_id):
        key = ApiKey.objects.get()
    assert "hers" not in page(dev, f"/{acme.slug}/developers/keys/")
    assert dev.post(f"/{acme.slug}/developers/keys/{key.id}/revoke/").status_code == 404


def test_a_webhook_is_added_paused_and_a_delivery_sent_again(acme: World, olivia: Client) -> None:
    base = f"/{acme.slug}/developers/webhooks/"
    given = {"name": "crm", "url": "https://crm.example/hooks", "events": ["run.completed"]}
    made = olivia.post(f"{base}new/", given).content.decode()
    assert "whsec_" in made
    assert "whsec_" not in page(olivia, base)
    with tenant_scope(acme.tenant_id):
        hook = Endpoint.objects.get()
        sent = Delivery.objects.create(
            endpoint=hook, type="run.completed", status="failed", created_at=timezone.now(), answered=500
        )
    assert "answered 500" in page(olivia, f"{base}{hook.id}/?status=failed")
    olivia.post(f"{base}{hook.id}/deliveries/{sent.id}/replay/")
    with tenant_scope(acme.tenant_id):
        assert Delivery.objects.get().status == "pending"
    olivia.post(f"{base}{hook.id}/change/", {"do": "pause"})
    assert "paused" in page(olivia, f"{base}{hook.id}/")
    assert "whsec_" in olivia.post(f"{base}{hook.id}/change/", {"do": "rotate"}).content.decode()
    refused = olivia.post(f"{base}{hook.id}/change/", {"url": "ftp://x", "events": []})
    assert 400 <= refused.status_code < 500
    assert 'value="ftp://x"' in refused.content.decode()
    olivia.post(f"{base}{hook.id}/change/", {"do": "remove"})
    assert olivia.get(f"{base}{hook.id}/").status_code == 404
    assert 400 <= olivia.post(f"{base}new/", given | {"name": "No Slug"}).status_code < 500


def test_what_signing_in_asks_is_set_and_a_provider_kept_without_its_secret(acme: World, olivia: Client) -> None:
    base = f"/{acme.slug}/settings/sign-in/"
    olivia.post(base, {"trust": "yes"})
    with tenant_scope(acme.tenant_id):
        row = Tenant.objects.get(id=acme.tenant_id)
        assert (row.require_mfa, row.trust_provider_mfa) == (False, True)
        EmailDomain.objects.create(domain=f"{uuid4().hex}.example")
    given = {"slug": "corp", "issuer": "https://login.corp.example", "client_id": "c", "secret": "sssh-secret"}
    refused = olivia.post(f"{base}providers/new/", given | {"domains": "gmail.com", "enabled": "yes"})
    assert 400 <= refused.status_code < 500
    assert "sssh-secret" not in refused.content.decode()
    assert 'value="gmail.com"' in refused.content.decode()
    assert olivia.post(f"{base}providers/new/", given | {"enabled": "yes"}).status_code == 302
    shown = page(olivia, f"{base}providers/corp/")
    assert "one is set" in shown
    assert "sssh-secret" not in shown
    assert olivia.post(f"{base}providers/new/", given).status_code == 409
    olivia.post(f"{base}providers/corp/", {**given, "secret": "", "name": "Corp Login"})
    with tenant_scope(acme.tenant_id):
        kept = IdentityProvider.objects.get()
        assert (kept.name, bool(kept.sealed_secret), kept.enabled) == ("Corp Login", True, False)
    olivia.post(f"{base}providers/corp/remove/")
    assert olivia.get(f"{base}providers/corp/").status_code == 404


def test_somebody_stands_in_and_no_more(acme: World) -> None:
    alice, base = signed_in(acme, "alice"), f"/{acme.slug}/settings/delegations/"
    soon, later = (f"{timezone.now() + timedelta(days=days):%Y-%m-%dT%H:%M}" for days in (1, 3))
    given = {"of": "", "to": email(acme, "rita"), "from": soon, "until": later}
    refused = alice.post(base, given | {"until": soon})
    assert 400 <= refused.status_code < 500
    assert f'value="{soon}"' in refused.content.decode()
    assert alice.post(base, given).status_code == 302
    assert "End it" in page(signed_in(acme, "rita"), base)
    with tenant_scope(acme.tenant_id):
        made = Delegation.objects.get()
    alice.post(f"{base}{made.id}/end/")
    assert "Nobody stands in" in page(alice, base)


def test_a_reviewer_says_how_they_are_written_to(acme: World) -> None:
    rita, address = signed_in(acme, "rita"), f"/{acme.slug}/settings/notices/"
    assert f'href="{address}"' in page(rita, address)
    given = {"mode": "daily", "hour": "7", "time_zone": "Europe/Berlin"}
    for wrong in ({"mode": "often"}, {"hour": "24"}, {"hour": ""}, {"time_zone": "Mars/Olympus"}):
        refused = rita.post(address, given | wrong)
        assert refused.status_code == 422, wrong
        assert 'value="daily" selected' in refused.content.decode() or "mode" in wrong
    assert rita.post(address, given).status_code == 302
    assert all(
        each in page(rita, address) for each in ('value="daily" selected', 'value="7" selected', "Europe/Berlin")
    )
    assert 'value="at_once" selected' in page(signed_in(acme, "alice"), address)
    assert signed_in(acme, "bob").get(address).status_code == 403
    assert signed_in(peopled(), "alice").get(address).status_code == 404


def test_another_tenants_people_and_things_do_not_exist(acme: World, olivia: Client) -> None:
    elsewhere = peopled()
    carol = as_role(elsewhere, Role.OWNER)
    olivia.post(f"/{acme.slug}/settings/teams/new/", {"slug": "credit", "members": ""})
    olivia.post(f"/{acme.slug}/developers/webhooks/new/", {"name": "crm", "url": "https://crm.example/"})
    olivia.post(f"/{acme.slug}/developers/keys/new/", {"name": "k", "scopes": ["runs:read"], "ends": ""})
    with tenant_scope(acme.tenant_id):
        hook, key, bob = Endpoint.objects.get(), ApiKey.objects.get(), User.objects.get(email=email(acme, "bob"))
    base = f"/{elsewhere.slug}/"
    looks: list[Any] = [
        carol.get(f"{base}settings/members/{bob.id}/"),
        carol.post(f"{base}settings/members/{bob.id}/change/", {"do": "remove"}),
        carol.get(f"{base}settings/teams/credit/"),
        carol.get(f"{base}developers/webhooks/{hook.id}/"),
        carol.post(f"{base}developers/keys/{key.id}/revoke/"),
        carol.get(f"/{acme.slug}/settings/members/"),
    ]
    assert [look.status_code for look in looks] == [404] * len(looks)
