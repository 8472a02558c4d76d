"""What a provider answers, and what of it is believed."""

import base64
import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from django.conf import settings
from django.test import Client

from egress import installed
from signin.oidc import documents
from signin.oidc.transport import MAX_BYTES
from tenants.models import Role, User
from tests.console.conftest import PASSWORD, signed_in
from tests.signin.idp import CLIENT_ID, KEY_ID, IdP
from tests.signin.sso import begin, change, come, domain, opens, person, provide, told, visitor, way_out
from tests.worlds import World

Json = Any
CALLBACK = "/accounts/sso/{}/corp/callback/"


@pytest.fixture
def corp(acme: World, idp: IdP) -> IdP:
    """Acme's provider."""
    provide(acme, idp)
    return idp


def refused(world: World, answer: Any, reason: str) -> None:
    """The page says why, the journal too, and nobody is signed in."""
    assert answer.status_code == 403
    assert f"<code>{reason}</code>" in answer.content.decode()
    assert [facts["reason"] for *_, facts in told(world.tenant_id, "login.failed")] == [reason]
    assert not opens(answer.client, world)


def test_person_comes_in_and_lands_where_they_wanted(acme: World, corp: IdP) -> None:
    client = visitor()
    wanted = f"/{acme.slug}/runs/?status=failed"
    out = way_out(client.post("/accounts/sso/", {"typed": f"Alice@{domain(acme).upper()}", "next": wanted}))
    answer = client.get(CALLBACK.format(acme.slug), corp.authorize(out, **person(acme, "alice")))
    assert answer["Location"] == wanted
    assert client.get(wanted).status_code == 200
    alice, provider = f"user:{acme.alice.user_id}", told(acme.tenant_id, "identity_provider.added")[0]
    [(_, actor, subject, facts)] = told(acme.tenant_id, "login.succeeded")
    assert (actor, subject, facts["providers"]) == (alice, alice, [bound_to(acme)])
    assert [row[2] for row in told(acme.tenant_id, "identity.bound")] == [alice]
    assert provider[3]["secret_set"]


def bound_to(world: World) -> str:
    """Return the id of the provider that the tenant's journal says somebody was bound to."""
    provider: str = told(world.tenant_id, "identity.bound")[0][3]["provider"]
    return provider


def test_request_carries_state_nonce_and_proof_and_comes_back_to_the_installations_own_address(
    acme: World, corp: IdP
) -> None:
    client = visitor()
    out = way_out(client.post(f"/accounts/sso/{acme.slug}/corp/?scope=admin&auth_params=prompt%3Dnone&process=connect"))
    query = parse_qs(urlsplit(out).query)
    assert query["redirect_uri"] == [settings.BASE_URL + CALLBACK.format(acme.slug)]
    assert query["code_challenge_method"] == ["S256"]
    assert set(query["scope"][0].split()) == {"openid", "profile", "email"}
    assert "prompt" not in query
    assert len(query["nonce"][0]) > 40
    again = parse_qs(urlsplit(begin(client, acme)).query)
    assert not {*query["state"], *query["nonce"]} & {*again["state"], *again["nonce"]}


def test_person_new_to_the_installation_joins_where_the_owner_said_so(acme: World, idp: IdP) -> None:
    provide(acme, idp, joins_as=Role.REVIEWER)
    client = visitor()
    come(client, acme, idp, **person(acme, "newcomer", name="New Comer"))
    assert opens(client, acme)
    user = User.objects.get(email=f"newcomer@{domain(acme)}")
    assert (user.name, user.has_usable_password()) == ("New Comer", False)
    [*_, (_, actor, subject, facts)] = told(acme.tenant_id, "member.added")
    assert (actor, subject, facts["role"]) == ("system:single_sign_on", f"user:{user.id}", "reviewer")


def test_person_new_to_the_installation_stays_outside_otherwise(acme: World, corp: IdP) -> None:
    refused(acme, come(visitor(), acme, corp, **person(acme, "newcomer")), "not_a_member")
    assert not User.objects.filter(email=f"newcomer@{domain(acme)}").exists()


def test_account_that_was_closed_stays_closed(acme: World, corp: IdP) -> None:
    come(visitor(), acme, corp, **person(acme, "alice"))
    User.objects.filter(id=acme.alice.user_id).update(is_active=False)
    refused(acme, come(visitor(), acme, corp, **person(acme, "alice")), "not_a_member")


def test_address_may_come_with_the_user_info(acme: World, corp: IdP) -> None:
    corp.lies.document = {"userinfo_endpoint": f"{corp.issuer}/userinfo"}
    corp.lies.userinfo = {"email": f"alice@{domain(acme)}", "email_verified": True}
    client = visitor()
    come(client, acme, corp)
    assert opens(client, acme)


def test_user_info_about_somebody_else_is_not_believed(acme: World, corp: IdP) -> None:
    corp.lies.document = {"userinfo_endpoint": f"{corp.issuer}/userinfo"}
    corp.lies.userinfo = {"sub": "sub-2", "email": f"alice@{domain(acme)}", "email_verified": True}
    refused(acme, come(visitor(), acme, corp), "userinfo_subject")


def test_user_info_does_not_vouch_for_the_id_tokens_address(acme: World, corp: IdP) -> None:
    corp.lies.document = {"userinfo_endpoint": f"{corp.issuer}/userinfo"}
    corp.lies.userinfo = {"email": f"bob@{domain(acme)}", "email_verified": True}
    answer = come(visitor(), acme, corp, email=f"alice@{domain(acme)}")
    refused(acme, answer, "email_unverified")


@pytest.mark.parametrize(
    ("lie", "reason"),
    [
        ({"iss": "https://elsewhere.example"}, "id_token_issuer"),
        ({"iss": None}, "id_token_malformed"),
        ({"aud": "another client"}, "id_token_audience"),
        ({"aud": [CLIENT_ID, "another client"]}, "id_token_audience"),
        ({"azp": "another client"}, "id_token_audience"),
        ({"aud": None}, "id_token_malformed"),
        ({"nonce": "of another sign-in"}, "id_token_nonce"),
        ({"nonce": None}, "id_token_nonce"),
        ({"nonce": ["\u00e9"]}, "id_token_nonce"),
        ({"nonce": "\ud800"}, "id_token_nonce"),
        ({"email": "a\0b@acme.example"}, "email_domain"),
        ({"email": "\ud800@acme.example"}, "email_domain"),
        ({"email": ["alice"]}, "email_domain"),
        ({"exp": 1}, "id_token_expired"),
        ({"exp": None}, "id_token_malformed"),
        ({"iat": 2**33, "exp": 2**34}, "id_token_not_yet"),
        ({"nbf": 2**33}, "id_token_not_yet"),
        ({"sub": None}, "id_token_malformed"),
        ({"sub": ""}, "id_token_subject"),
        ({"sub": "s" * 192}, "id_token_subject"),
        ({"sub": "a\0b"}, "id_token_subject"),
        ({"sub": 7}, "id_token_malformed"),
    ],
)
def test_id_token_of_another_making_is_not_believed(acme: World, corp: IdP, lie: dict[str, Json], reason: str) -> None:
    corp.lies.claims = lie
    refused(acme, come(visitor(), acme, corp, **person(acme, "alice")), reason)


def unsigned(claims: dict[str, Json]) -> str:
    return jwt.encode(claims, "", algorithm="none")


def signed_by_the_public_key(claims: dict[str, Json]) -> str:
    def part(value: Json) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    head = part({"alg": "HS256", "typ": "JWT", "kid": KEY_ID})
    return f"{head}.{part(claims)}.c2lnbmF0dXJl"


def signed_by_another_key(claims: dict[str, Json]) -> str:
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return jwt.encode(claims, other, algorithm="RS256", headers={"kid": KEY_ID})


def signed_by_another_kind(claims: dict[str, Json]) -> str:
    return jwt.encode(claims, ec.generate_private_key(ec.SECP256R1()), algorithm="ES256", headers={"kid": KEY_ID})


@pytest.mark.parametrize(
    ("sign", "reason"),
    [
        (unsigned, "id_token_algorithm"),
        (signed_by_the_public_key, "id_token_algorithm"),
        (signed_by_another_key, "id_token_signature"),
        (signed_by_another_kind, "id_token_key"),
        (lambda claims: "not.a.token", "id_token_malformed"),
        (lambda claims: "", "id_token_malformed"),
    ],
)
def test_id_token_of_another_hand_is_not_believed(acme: World, corp: IdP, sign: Any, reason: str) -> None:
    corp.lies.sign = sign
    refused(acme, come(visitor(), acme, corp, **person(acme, "alice")), reason)


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ([], "id_token_key"),
        ([{"kid": KEY_ID, "kty": "RSA", "n": "AQAB", "e": "AQAB"}], "provider_keys"),
        ([{"kid": KEY_ID, "kty": "RSA", "n": 7, "e": []}], "provider_keys"),
        ([{"kid": KEY_ID, "kty": "RSA", "n": "A" * 4000, "e": "AQAB"}], "id_token_key"),
        ([{"kid": KEY_ID, "kty": "oct", "k": "AAAA"}], "id_token_key"),
        ([None, 7, "key"], "id_token_key"),
    ],
)
def test_keys_that_are_none_are_not_used(acme: World, corp: IdP, keys: list[Json], reason: str) -> None:
    corp.lies.keys = keys
    refused(acme, come(visitor(), acme, corp, **person(acme, "alice")), reason)


def test_key_for_encryption_and_two_of_a_name_are_not_used(acme: World, corp: IdP) -> None:
    for keys in ([corp.public_key() | {"use": "enc"}], [corp.public_key(), corp.public_key()]):
        corp.lies.keys = keys
        assert b"id_token_key" in come(visitor(), acme, corp, **person(acme, "alice")).content


@pytest.mark.parametrize(
    ("lie", "reason"),
    [
        ({"id_token": None}, "id_token_missing"),
        ({"id_token": 7}, "id_token_missing"),
        ({"access_token": None}, "provider_answer"),
        ({"access_token": 7, "expires_in": "soon", "refresh_token": []}, None),
    ],
)
def test_token_answer_is_looked_at(acme: World, corp: IdP, lie: dict[str, Json], reason: str | None) -> None:
    corp.lies.token = lie
    client = visitor()
    answer = come(client, acme, corp, **person(acme, "alice"))
    if reason:
        refused(acme, answer, reason)
    else:
        assert opens(client, acme)


def test_code_is_good_once_and_in_the_browser_that_began(acme: World, corp: IdP) -> None:
    client = visitor()
    back = corp.authorize(begin(client, acme), **person(acme, "alice"))
    callback = CALLBACK.format(acme.slug)
    stolen = visitor().get(callback, back)
    assert (stolen.status_code, b"<code>state</code>" in stolen.content) == (403, True)
    assert client.get(callback, back).status_code == 302
    client.post("/accounts/logout/")
    corp.codes["code-0"] = (parse({**back}), person(acme, "alice"))
    replayed = client.get(callback, back)
    assert (replayed.status_code, b"<code>state</code>" in replayed.content) == (403, True)
    assert told(acme.tenant_id, "login.failed") == []


def parse(back: dict[str, str]) -> dict[str, str]:
    return back | {"nonce": "", "code_challenge": "", "code_challenge_method": "", "redirect_uri": ""}


def test_state_of_one_provider_is_worth_nothing_at_another(acme: World, globex: World, corp: IdP) -> None:
    provide(globex, corp)
    client = visitor()
    back = corp.authorize(begin(client, globex), **person(acme, "alice"))
    mixed_up = client.get(CALLBACK.format(acme.slug), back)
    assert (mixed_up.status_code, b"<code>state</code>" in mixed_up.content) == (403, True)


def test_answer_that_names_another_issuer_is_not_taken(acme: World, corp: IdP) -> None:
    client = visitor()
    back = corp.authorize(begin(client, acme), **person(acme, "alice"))
    answer = client.get(CALLBACK.format(acme.slug), back | {"iss": "https://elsewhere.example"})
    refused(acme, answer, "answer_issuer")
    assert "/token" not in corp.asked


@pytest.mark.parametrize(("error", "reason"), [("access_denied", "cancelled"), ("server_error", "provider_error")])
def test_provider_that_says_no_is_believed(acme: World, corp: IdP, error: str, reason: str) -> None:
    client = visitor()
    back = corp.authorize(begin(client, acme))
    told_why = "<script>alert(1)</script>"
    answer = client.get(
        CALLBACK.format(acme.slug), {"state": back["state"], "error": error, "error_description": told_why}
    )
    assert (answer.status_code, f"<code>{reason}</code>" in answer.content.decode()) == (403, True)
    assert "alert(1)" not in answer.content.decode()
    assert not opens(client, acme)
    assert told(acme.tenant_id, "login.%") == []  # anybody who comes back can say so


@pytest.mark.parametrize(
    ("lie", "reason"),
    [
        ({"issuer": "https://elsewhere.example"}, "discovery_issuer"),
        ({"issuer": None}, "discovery_issuer"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "discovery_endpoint"),
        ({"authorization_endpoint": None}, "discovery_endpoint"),
        ({"token_endpoint": "http://login.example/token"}, "discovery_endpoint"),
        ({"jwks_uri": ["https://login.example/jwks"]}, "discovery_endpoint"),
        ({"userinfo_endpoint": "http://login.example/me"}, "discovery_endpoint"),
    ],
)
def test_discovery_that_leads_astray_is_not_followed(acme: World, corp: IdP, lie: dict[str, Json], reason: str) -> None:
    corp.lies.document = lie
    refused(acme, visitor().post(f"/accounts/sso/{acme.slug}/corp/"), reason)


@pytest.mark.parametrize("endpoint", ["token_endpoint", "jwks_uri", "userinfo_endpoint"])
@pytest.mark.parametrize("place", ["https://169.254.169.254/latest", "https://127.0.0.1:1/", "https://2130706433/"])
def test_endpoints_in_private_places_are_not_called(acme: World, corp: IdP, endpoint: str, place: str) -> None:
    corp.lies.document = {endpoint: place}
    client = visitor()
    began = client.post(f"/accounts/sso/{acme.slug}/corp/")
    if began.status_code == 403:  # so oddly written that it is no address at all
        assert "2130706433" in place
        return
    answer = client.get(CALLBACK.format(acme.slug), corp.authorize(way_out(began)))
    refused(acme, answer, "provider_unreachable")


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/jwks", "/token"])
@pytest.mark.parametrize("target", ["http://169.254.169.254/latest/meta-data", "SELF/elsewhere"])
def test_redirects_are_not_followed(acme: World, corp: IdP, path: str, target: str) -> None:
    client = visitor()
    began = begin(client, acme)
    documents.forget()
    corp.lies.paths[path] = (302, {"Location": target.replace("SELF", corp.issuer)}, lambda: iter([b""]))
    answer = client.get(CALLBACK.format(acme.slug), corp.authorize(began, **person(acme, "alice")))
    refused(acme, answer, "provider_unreachable")
    assert "/elsewhere" not in corp.asked


def endless() -> Iterator[bytes]:
    """A gigabyte, a mebibyte at a time."""
    for _ in range(1024):
        yield b" " * 1024 * 1024


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/jwks", "/token"])
def test_gigabyte_is_cut_off(acme: World, corp: IdP, path: str) -> None:
    client = visitor()
    began = begin(client, acme)
    documents.forget()
    corp.lies.paths[path] = (200, {"Content-Type": "application/json"}, endless)
    answer = client.get(CALLBACK.format(acme.slug), corp.authorize(began, **person(acme, "alice")))
    refused(acme, answer, "provider_unreachable")
    assert MAX_BYTES < 1024 * 1024


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"null", b'"text"', b"[" * 100_000, b"\xff\xfe", b'{"issuer": NaN'], ids=range(8)
)
def test_answer_that_is_no_object_is_not_taken(acme: World, corp: IdP, body: bytes) -> None:
    corp.lies.paths["/.well-known/openid-configuration"] = (200, {}, lambda: iter([body]))
    refused(acme, visitor().post(f"/accounts/sso/{acme.slug}/corp/"), "provider_unreachable")


def test_provider_that_is_away_is_said_to_be(acme: World, corp: IdP) -> None:
    corp.lies.paths["/token"] = (500, {}, lambda: iter([b"secret trace"]))
    answer = come(visitor(), acme, corp, **person(acme, "alice"))
    refused(acme, answer, "provider_unreachable")
    assert b"secret trace" not in answer.content


def test_nothing_goes_out_past_the_guard(acme: World, corp: IdP, settings: Any) -> None:
    settings.EGRESS_ALLOW = ()
    installed.client.cache_clear()
    refused(acme, visitor().post(f"/accounts/sso/{acme.slug}/corp/"), "provider_unreachable")
    assert corp.asked == []


def test_tokens_and_secrets_are_in_no_log_record_or_page(
    acme: World, corp: IdP, caplog: pytest.LogCaptureFixture
) -> None:
    corp.lies.token = {"access_token": None, "canary": "hunter2-token"}
    answer = come(visitor(), acme, corp, **person(acme, "alice"))
    for text in (caplog.text, answer.content.decode()):
        assert "hunter2" not in text
        assert "eyJ" not in text


@pytest.mark.parametrize("wanted", ["https://elsewhere.example/", "//elsewhere.example", "javascript:alert(1)", r"\\x"])
def test_sign_in_leads_back_inside_only(acme: World, corp: IdP, wanted: str) -> None:
    client = visitor()
    out = way_out(client.post(f"/accounts/sso/{acme.slug}/corp/?next={wanted}", {"next": wanted}))
    answer = client.get(CALLBACK.format(acme.slug), corp.authorize(out, **person(acme, "alice")) | {"next": wanted})
    assert answer["Location"] == f"/{acme.slug}/"


def test_what_leads_nowhere_has_one_answer_for_all(acme: World, globex: World, idp: IdP) -> None:
    made = provide(acme, idp)
    change(acme, "off", issuer=made.issuer, client_id="x", enabled=False)
    client = Client()

    def posted(typed: str) -> bytes:
        answer = client.post("/accounts/sso/", {"typed": typed})
        assert answer.status_code == 404
        kept = f'value="{typed[:254].strip().lower()}"'.encode()
        assert answer.content.count(kept) == 1  # the field holds it still
        return without_token(answer.content.replace(kept, b'value=""'))

    nothing = posted("there-is-no-such-tenant")
    for typed in (globex.slug, f"carol@{domain(globex)}", "x@nowhere.example", "@", "a@b", "\0", "x" * 5000):
        assert posted(typed) == nothing
    for address in (globex.slug, "no-such-tenant"):
        for answer in (
            client.get(f"/accounts/sso/{address}/"),
            client.post(f"/accounts/sso/{address}/corp/"),
            client.get(f"/accounts/sso/{address}/corp/callback/?code=1&state=2"),
        ):
            assert (answer.status_code, without_token(answer.content)) == (404, nothing)
    assert without_token(client.post(f"/accounts/sso/{acme.slug}/off/").content) == nothing


def without_token(page: bytes) -> bytes:
    import re

    return re.sub(rb'name="csrfmiddlewaretoken" value="[^"]+"', b"", page)


def test_several_providers_of_a_tenant_are_offered(acme: World, corp: IdP) -> None:
    change(acme, "second", issuer=corp.issuer, client_id="x", name="Contractors")
    page = visitor().post("/accounts/sso/", {"typed": acme.slug}).content.decode()
    assert "Continue with Corp Login" in page
    assert "Continue with Contractors" in page


def test_form_needs_its_token_and_going_there_is_no_get(acme: World, corp: IdP) -> None:
    assert Client(enforce_csrf_checks=True).post(f"/accounts/sso/{acme.slug}/corp/").status_code == 403
    assert Client().get(f"/accounts/sso/{acme.slug}/corp/").status_code == 405
    assert corp.asked == []


def test_who_is_signed_in_already_is_whom_the_provider_names(acme: World, corp: IdP) -> None:
    bob = signed_in(acme, "bob")
    come(bob, acme, corp, **person(acme, "alice"))
    assert f"alice@{domain(acme)}" in bob.get("/?choose").content.decode()


def test_sign_in_through_a_provider_changes_no_password(acme: World, corp: IdP) -> None:
    come(visitor(), acme, corp, **person(acme, "alice"))
    assert User.objects.get(id=acme.alice.user_id).check_password(PASSWORD)


def test_clock_of_the_provider_may_differ_a_little(acme: World, corp: IdP) -> None:
    corp.lies.claims = {"iat": int(time.time()) + 30}
    client = visitor()
    come(client, acme, corp, **person(acme, "alice"))
    assert opens(client, acme)
