"""Authenticator apps, recovery codes, and tenants that ask for a second factor. Passkeys: `test_browser.py`."""

import time
from io import StringIO

import pytest
from allauth.mfa.models import Authenticator
from django.core.cache import cache
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client

from db.scope import tenant_scope
from tenants.actions import tenants
from tenants.models import Tenant
from tenants.principal import COMMAND
from tests.console.conftest import PASSWORD, email, signed_in
from tests.signin.people import actions, add_totp, again, attempt, code, deliver, everything, is_in, told, told_of
from tests.worlds import World


def require(world: World, *, required: bool = True) -> None:
    tenant = tenants.by_slug(world.slug)
    tenants.set_second_factor(tenant=tenant, require=required, trust_provider=False, acting_as=COMMAND)


def test_app_is_asked_for_from_then_on(acme: World) -> None:
    secret, _ = add_totp(signed_in(acme, "alice"))
    client = Client()
    answer = attempt(email(acme, "alice"), PASSWORD, client)
    assert answer["Location"] == "/accounts/2fa/authenticate/"
    assert not is_in(client)
    client.post("/accounts/2fa/authenticate/", {"code": code(secret)})
    assert is_in(client)
    assert told_of(acme)[-1] == ("login.succeeded", "ok", {"steps": ["password", "totp"]})


def test_code_is_good_once(acme: World) -> None:
    secret, _ = add_totp(signed_in(acme, "alice"))
    first, second = Client(), Client()
    shown = code(secret)
    for client in (first, second):
        attempt(email(acme, "alice"), PASSWORD, client)
        client.post("/accounts/2fa/authenticate/", {"code": shown})
    assert (is_in(first), is_in(second)) == (True, False)


def test_code_that_set_the_app_up_opens_nothing(acme: World, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now)
    secret, _ = add_totp(signed_in(acme, "alice"), long_ago=False)
    client = Client()
    attempt(email(acme, "alice"), PASSWORD, client)
    answer = client.post("/accounts/2fa/authenticate/", {"code": code(secret)})
    assert "This code is not right" in answer.content.decode()
    assert not is_in(client)


def test_code_is_good_once_for_as_long_as_it_is_good_at_all(acme: World) -> None:
    secret, _ = add_totp(signed_in(acme, "alice"))
    client, shown = Client(), code(secret)
    attempt(email(acme, "alice"), PASSWORD, client)
    client.post("/accounts/2fa/authenticate/", {"code": shown})
    cache.delete(f"allauth.mfa.totp.used?user={acme.alice.user_id}&code={shown}")  # as half a minute later
    again_there = Client()
    attempt(email(acme, "alice"), PASSWORD, again_there)
    again_there.post("/accounts/2fa/authenticate/", {"code": shown})
    assert (is_in(client), is_in(again_there)) == (True, False)


def test_wrong_code_lets_nobody_in_and_leaves_a_record(acme: World) -> None:
    add_totp(signed_in(acme, "alice"))
    client = Client()
    attempt(email(acme, "alice"), PASSWORD, client)
    answer = client.post("/accounts/2fa/authenticate/", {"code": "000000"})
    assert "This code is not right" in answer.content.decode()
    assert not is_in(client)
    assert told_of(acme)[-1] == ("login.failed", "denied", {"step": "code"})


def test_setting_up_needs_the_password_again_and_the_right_code(acme: World) -> None:
    client = signed_in(acme, "alice")
    assert "/accounts/reauthenticate/" in client.get("/accounts/2fa/totp/activate/")["Location"]
    again(client)
    client.get("/accounts/2fa/totp/activate/")
    answer = client.post("/accounts/2fa/totp/activate/", {"code": "000000"})
    assert "This code is not right" in answer.content.decode()
    assert not Authenticator.objects.filter(user_id=acme.alice.user_id).exists()


def test_setting_up_leaves_its_records_and_a_letter_and_ends_the_other_sessions(acme: World) -> None:
    here, there = signed_in(acme, "alice"), signed_in(acme, "alice")
    deliver()
    add_totp(here)
    assert (is_in(here), is_in(there)) == (True, False)
    records = [(action, facts.get("type")) for action, _, facts in told_of(acme)][2:]
    assert records == [("second_factor.added", "totp"), ("recovery_codes.made", None), ("session.revoked", None)]
    assert [letter.subject for letter in deliver()] == ["An authenticator app was added to your Countersign account"]


def test_secrets_are_encrypted_and_in_no_journal(acme: World) -> None:
    secret, codes = add_totp(signed_in(acme, "alice"))
    assert len(codes) == 10
    kept = str(list(Authenticator.objects.filter(user_id=acme.alice.user_id).values_list("data", flat=True)))
    assert "v1." in kept
    for hidden in (secret, codes[0]):
        assert hidden not in kept
        assert hidden not in everything(acme.tenant_id)


def test_setting_up_that_cannot_be_recorded_does_not_happen(acme: World, monkeypatch: pytest.MonkeyPatch) -> None:
    client = signed_in(acme, "alice")
    again(client)
    client.raise_request_exception = False
    page = client.get("/accounts/2fa/totp/activate/").content.decode()
    secret = page.partition("<code>")[2].partition("</code>")[0]
    monkeypatch.setattr("audit.journal.record", fail)
    assert client.post("/accounts/2fa/totp/activate/", {"code": code(secret)}).status_code == 500
    assert not Authenticator.objects.filter(user_id=acme.alice.user_id).exists()


def fail(*_: object, **__: object) -> None:
    raise RuntimeError("the journal is full")


def test_removing_the_app_leaves_one_record_and_takes_the_recovery_codes_along(acme: World) -> None:
    client = signed_in(acme, "alice")
    add_totp(client)
    client.post("/accounts/2fa/totp/deactivate/")
    assert not Authenticator.objects.filter(user_id=acme.alice.user_id).exists()
    assert told_of(acme)[-1] == ("second_factor.removed", "ok", {"type": "totp"})
    other = Client()
    attempt(email(acme, "alice"), PASSWORD, other)
    assert is_in(other)


def test_recovery_code_opens_once(acme: World) -> None:
    _, codes = add_totp(signed_in(acme, "alice"))
    for expected in (True, False):
        client = Client()
        attempt(email(acme, "alice"), PASSWORD, client)
        client.post("/accounts/2fa/authenticate/", {"code": codes[3]})
        assert is_in(client) is expected
    steps = [facts["steps"] for action, _, facts in told_of(acme) if action == "login.succeeded"]
    assert steps[-1] == ["password", "recovery_codes"]


def test_recovery_codes_are_shown_once_and_made_anew(acme: World) -> None:
    client = signed_in(acme, "alice")
    _, codes = add_totp(client)
    assert codes[0] not in client.get("/accounts/2fa/recovery-codes/").content.decode()
    made = client.post("/accounts/2fa/recovery-codes/generate/", follow=True).content.decode()
    assert "They are shown only now" in made
    assert codes[0] not in made
    assert actions(acme)[-1] == "recovery_codes.made"
    other = Client()
    attempt(email(acme, "alice"), PASSWORD, other)
    other.post("/accounts/2fa/authenticate/", {"code": codes[0]})
    assert not is_in(other)


def test_nobody_removes_or_sees_what_is_anothers(acme: World) -> None:
    add_totp(signed_in(acme, "alice"))
    bob = signed_in(acme, "bob")
    again(bob)
    assert bob.post("/accounts/2fa/totp/deactivate/").status_code == 404
    assert bob.get("/accounts/2fa/recovery-codes/").status_code == 404
    theirs = Authenticator.objects.filter(user_id=acme.alice.user_id).first()
    assert theirs is not None
    assert bob.post(f"/accounts/2fa/webauthn/keys/{theirs.pk}/remove/").status_code == 404
    assert Authenticator.objects.filter(user_id=acme.alice.user_id).count() == 2


def test_command_takes_them_away_from_somebody_who_lost_them(acme: World) -> None:
    add_totp(signed_in(acme, "alice"))
    deliver()
    said = StringIO()
    call_command("second_factor", "remove", email(acme, "alice"), stdout=said)
    assert "1 removed" in said.getvalue()
    assert not Authenticator.objects.filter(user_id=acme.alice.user_id).exists()
    assert told_of(acme)[-1] == ("second_factor.removed", "ok", {"type": "totp"})
    assert "removed the second factors" in deliver()[0].body


def test_command_knows_its_people(database: None) -> None:
    with pytest.raises(CommandError, match="no account"):
        call_command("second_factor", "remove", "nobody@nowhere.example")


# --- tenants that ask for one ---------------------------------------------------------------------------------------


def test_member_without_one_is_led_to_set_one_up_and_back(acme: World) -> None:
    alice = signed_in(acme, "alice")
    require(acme)
    wanted = f"/{acme.slug}/runs/?status=failed"
    led = alice.get(wanted, follow=True)
    assert led.redirect_chain[-1][0] == "/accounts/"
    assert "asks for a second factor" in led.content.decode()
    add_totp(alice)
    assert f'href="{wanted}"' in alice.get("/accounts/").content.decode()
    assert alice.get(wanted).status_code == 200


def test_every_page_of_the_tenant_asks(acme: World) -> None:
    run = acme.submit("refund-desk", {"order": "88213"})
    alice = signed_in(acme, "alice")
    require(acme)
    base = f"/{acme.slug}/runs/"
    for page in (f"/{acme.slug}/", base, f"{base}{run.id}/", f"{base}{run.id}/events/", f"{base}{run.id}/steps/1/"):
        assert alice.get(page)["Location"].startswith("/accounts/enrol/?next=")
    swap = alice.get(base, headers={"HX-Request": "true", "HX-Current-URL": f"http://testserver{base}"})
    assert swap["HX-Redirect"].startswith("/accounts/enrol/?next=")


def test_asking_tells_strangers_nothing(acme: World, globex: World) -> None:
    require(acme)
    carol = signed_in(globex, "alice")
    there, nowhere = carol.get(f"/{acme.slug}/runs/"), carol.get("/nobody-here/runs/")
    assert (there.status_code, there.content) == (404, nowhere.content)


def test_other_tenants_of_the_member_do_not_ask(acme: World, globex: World) -> None:
    from tenants.actions import members
    from tenants.models import Role

    members.put(tenant=tenants.by_slug(globex.slug), email=email(acme, "alice"), role=Role.VIEWER, acting_as=COMMAND)
    require(acme)
    assert signed_in(acme, "alice").get(f"/{globex.slug}/runs/").status_code == 200


@pytest.mark.parametrize("wanted", ["https://elsewhere.example/", "//elsewhere.example/", "javascript:alert(1)", ""])
def test_enrolment_leads_back_inside_only(acme: World, wanted: str) -> None:
    alice = signed_in(acme, "alice")
    alice.get("/accounts/enrol/", {"next": wanted})
    assert alice.session["wanted_at"] == ""


def test_setting_it_leaves_one_record_and_none_when_nothing_changes(acme: World) -> None:
    require(acme)
    require(acme)
    assert [action for action, _, _ in told(acme.tenant_id, acme.tenant_id)].count("tenant.changed") == 1
    with tenant_scope(acme.tenant_id):
        assert Tenant.objects.get(id=acme.tenant_id).require_mfa
