"""Signing in and one's own account in a real Chromium; passkeys on a virtual authenticator of its own protocol."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from playwright.sync_api import Browser, CDPSession, Page, expect

from signin import second_factor
from tenants.models import User
from tests.console.browsing import LOOKS, SCHEMES, Visitor, browser, members
from tests.console.conftest import PASSWORD, email, signed_in
from tests.signin.people import actions, add_totp, again, code, told_of
from tests.signin.test_second_factors import require
from tests.worlds import World

__all__ = ["browser"]

#: Pixels between the end of a card's last line and the card's; None where there is no such card.
FOOT = """() => {
    const [card, foot] = [".entrance-card", ".entrance-foot:last-of-type"].map(each => document.querySelector(each));
    return foot && card.getBoundingClientRect().bottom - foot.getBoundingClientRect().bottom;
}"""
FOOT_ROOM = (None, 29)

ANSWERS_AT_ONCE: dict[str, Any] = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@pytest.fixture
def visit(web_server: str, browser: Browser, acme: World) -> Iterator[Any]:
    """Passkeys want a name, not an address."""
    with members(browser, web_server.replace("127.0.0.1", "localhost"), acme) as start:
        yield start


def authenticator(visitor: Visitor, **options: Any) -> tuple[CDPSession, str]:
    """Give the page a device with a finger on it."""
    device = visitor.context.new_cdp_session(visitor.page)
    device.send("WebAuthn.enable")
    made = device.send("WebAuthn.addVirtualAuthenticator", {"options": ANSWERS_AT_ONCE | options})
    return device, made["authenticatorId"]


def again_in(page: Page) -> None:
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Go on").click()


def add_passkey(page: Page, *, alone: bool = True) -> None:
    page.goto("/accounts/")
    page.get_by_role("link", name="Add a passkey").click()
    again_in(page)
    page.get_by_label("Name").fill("Work laptop")
    page.get_by_label("Sign in with it alone").set_checked(alone)
    page.get_by_role("button", name="Add it").click()


def leave(page: Page) -> None:
    page.goto("/accounts/")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/accounts/login/**")


def test_passkey_is_added_and_signs_in_alone(visit: Any, acme: World) -> None:
    visitor = visit()
    page = visitor.page
    device, name = authenticator(visitor)
    add_passkey(page)
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    (credential,) = device.send("WebAuthn.getCredentials", {"authenticatorId": name})["credentials"]
    assert credential["isResidentCredential"]
    page.get_by_role("link", name="Back to your account").click()
    expect(page.get_by_text("Work laptop")).to_be_visible()
    expect(page.get_by_text("Signs in alone")).to_be_visible()
    leave(page)
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url(f"**/{acme.slug}/")
    assert told_of(acme)[-1] == ("login.succeeded", "ok", {"steps": ["webauthn"]})
    assert ("second_factor.added", "ok", {"type": "webauthn"}) in told_of(acme)


def test_passkey_leads_back_to_where_one_was_going(visit: Any, acme: World) -> None:
    visitor = visit()
    page = visitor.page
    authenticator(visitor)
    add_passkey(page)
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    leave(page)
    page.goto(f"/{acme.slug}/runs/?status=failed")
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url("**/runs/?status=failed")


def test_security_key_is_a_second_factor_beside_the_password(visit: Any, acme: World) -> None:
    visitor = visit()
    page = visitor.page
    authenticator(visitor, transport="usb")
    add_passkey(page, alone=False)
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    leave(page)
    visitor.sign_in(email(acme, "alice"))
    expect(page.get_by_role("heading", name="One more step")).to_be_visible()
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url(f"**/{acme.slug}/")
    assert told_of(acme)[-1] == ("login.succeeded", "ok", {"steps": ["password", "webauthn"]})


def test_passkey_shows_again_who_one_is_and_is_removed(visit: Any, acme: World) -> None:
    visitor = visit()
    page = visitor.page
    authenticator(visitor)
    add_passkey(page)
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    leave(page)
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url(f"**/{acme.slug}/")
    page.goto("/accounts/")
    page.get_by_role("link", name="Remove Work laptop").click()
    page.get_by_role("link", name="Use a passkey").click()
    page.get_by_role("button", name="Use a passkey").click()
    page.get_by_role("button", name="Remove it").click()
    expect(page.get_by_text("No passkey yet")).to_be_visible()
    assert actions(acme)[-1] == "second_factor.removed"
    assert not Authenticator.objects.filter(user_id=acme.alice.user_id).exists()


def test_device_without_the_passkey_says_so_and_lets_try_again(visit: Any) -> None:
    visitor = visit(None)
    page = visitor.page
    authenticator(visitor, isUserVerified=False)
    page.goto("/accounts/login/")
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was chosen")
    expect(page.get_by_role("button", name="Use a passkey")).to_be_enabled()


def test_passkey_that_was_removed_opens_nothing(visit: Any, acme: World) -> None:
    visitor = visit()
    page = visitor.page
    authenticator(visitor)
    add_passkey(page)
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    leave(page)
    second_factor.remove_all(User.objects.get(id=acme.alice.user_id))
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_text("This code is not right")).to_be_visible()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_member_of_an_asking_tenant_enrols_and_goes_on(visit: Any, acme: World) -> None:
    visitor = visit()
    page = visitor.page
    authenticator(visitor)
    require(acme)
    page.goto(f"/{acme.slug}/runs/?status=failed")
    expect(page.get_by_text("asks for a second factor")).to_be_visible()
    page.get_by_role("link", name="Add a passkey").click()
    again_in(page)
    page.get_by_role("button", name="Add it").click()
    page.get_by_role("link", name="Go on").click()
    page.wait_for_url("**/runs/?status=failed")


def test_app_is_set_up_and_used_without_scripts(visit: Any, acme: World) -> None:
    page = visit(java_script_enabled=False).page
    page.get_by_role("button", name="Account of").click()
    page.get_by_role("link", name="Your account").click()
    page.get_by_role("link", name="Set up an authenticator app").click()
    again_in(page)
    expect(page.get_by_role("img", name="QR code")).to_be_visible()
    secret = page.get_by_role("group", name="Secret").inner_text().strip()
    page.get_by_label("Code").fill(code(secret))
    page.get_by_role("button", name="Set it up").click()
    expect(page.get_by_role("group", name="Recovery codes").get_by_role("listitem")).to_have_count(10)
    page.get_by_role("link", name="Back to your account").click()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("E-mail").fill(email(acme, "alice"))
    page.get_by_label("Password").fill(PASSWORD)
    expect(page.get_by_role("button", name="Use a passkey")).to_be_hidden()
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Code").fill(code(secret, ahead=1))  # what set the app up is used up
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"**/{acme.slug}/")


def test_keyboard_alone_signs_in(visit: Any, acme: World) -> None:
    page = visit(None).page
    page.goto("/accounts/login/")
    page.keyboard.type(email(acme, "alice"))
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/{acme.slug}/")


def test_session_is_ended_from_another_browser(visit: Any, acme: World) -> None:
    here, there = visit().page, visit().page
    here.goto("/accounts/")
    here.get_by_role("button", name=re.compile("End the session")).click()
    expect(here.get_by_role("button", name=re.compile("End the session"))).to_have_count(0)
    there.goto(f"/{acme.slug}/runs/")
    expect(there.get_by_role("heading", name="Sign in")).to_be_visible()


def pages(visitor: Visitor) -> Iterator[str]:
    """Go through every page of one's own account, and yield the name of each."""
    page = visitor.page
    page.goto("/accounts/")
    yield "account"
    page.goto("/accounts/password/change/")
    yield "password"
    page.get_by_label("Current password").fill("not it")
    page.get_by_label("New password", exact=True).fill("short")
    page.get_by_label("New password, again").fill("shorter")
    page.get_by_role("button", name="Change it").click()
    yield "password-wrong"
    page.goto("/accounts/2fa/totp/activate/")
    yield "again"
    again_in(page)
    yield "app"
    page.get_by_label("Code").fill(code(page.get_by_role("group", name="Secret").inner_text().strip()))
    page.get_by_role("button", name="Set it up").click()
    yield "codes"
    page.goto("/accounts/2fa/recovery-codes/")
    yield "codes-shown"
    page.goto("/accounts/2fa/recovery-codes/generate/")
    yield "codes-anew"
    page.goto("/accounts/2fa/webauthn/add/")
    authenticator(visitor)
    yield "passkey"
    page.get_by_role("button", name="Add it").click()
    expect(page.get_by_text("Passkey 1")).to_be_visible()
    yield "account-full"
    page.goto("/accounts/2fa/totp/deactivate/")
    yield "app-remove"
    page.goto("/accounts/")
    page.get_by_role("link", name="Remove Passkey 1").click()
    yield "passkey-remove"
    page.goto("/accounts/2fa/webauthn/reauthenticate/")
    yield "again-passkey"
    page.goto("/accounts/2fa/reauthenticate/")
    yield "again-code"


def strangers_pages(visitor: Visitor, world: World) -> Iterator[str]:
    """Go through the pages before one is in."""
    page = visitor.page
    page.goto("/accounts/login/")
    yield "sign-in"
    page.get_by_label("E-mail").fill("nobody@nowhere.example")
    page.get_by_label("Password").fill("guess")
    page.get_by_role("button", name="Sign in", exact=True).click()
    yield "sign-in-wrong"
    page.goto("/accounts/password/reset/")
    yield "reset"
    page.get_by_label("E-mail").fill("nobody@nowhere.example")
    page.get_by_role("button", name="Send the link").click()
    yield "reset-asked"
    page.goto("/accounts/password/reset/key/0-nonsense/")
    yield "reset-used-up"
    visitor.sign_in(email(world, "rita"))
    yield "second-factor"


@pytest.mark.parametrize("scheme", LOOKS)
def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(visit: Any, acme: World, scheme: str) -> None:
    rita = signed_in(acme, "rita")
    add_totp(rita)
    for visitor, walk in (
        (stranger := visit(None, **SCHEMES[scheme]), strangers_pages(stranger, acme)),
        (member := visit("alice", **SCHEMES[scheme]), pages(member)),
    ):
        for name in walk:
            assert visitor.findings() == [], name
            assert visitor.page.evaluate(FOOT) in FOOT_ROOM, name


def test_pages_hold_nothing_inline(acme: World) -> None:
    client = signed_in(acme, "alice")
    again(client)
    for page in ("", "password/change/", "reauthenticate/", "2fa/totp/activate/", "2fa/webauthn/add/"):
        answer = client.get(f"/accounts/{page}")
        shown = answer.content.decode()
        assert answer.status_code == 200
        assert "unsafe" not in answer["Content-Security-Policy"]
        assert " style=" not in shown
        assert not re.search(r"<script(?![^>]*(?: src=|application/json))", shown)
