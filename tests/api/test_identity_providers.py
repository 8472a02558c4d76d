"""Identity providers over REST: set up by owners, with a secret that goes one way."""

from typing import Any

import pytest
from django.core.management import CommandError, call_command

from db.scope import tenant_scope
from signin.actions import email_domains
from signin.models import IdentityProvider
from signin.sealing import opened
from tenants.actions import tenants
from tenants.models import Role
from tenants.principal import COMMAND
from tenants.scopes import SCOPES
from tests.api.conftest import Caller, caller
from tests.signin.sso import told
from tests.worlds import World, world

Json = Any
HERE = "identity-providers/corp"


@pytest.fixture
def owner(acme: World) -> Caller:
    """The tenant's owner, who has allowed it a domain."""
    email_domains.allow(tenants.by_slug(acme.slug), f"{acme.slug}.example", acting_as=COMMAND)
    return caller(acme, acme.member("olga", Role.OWNER), *SCOPES)


def wanted(acme: World, **more: Json) -> dict[str, Json]:
    return {
        "issuer": "https://login.example",
        "client_id": "countersign",
        "client_secret": "hunter2hunter2",
        "name": "Corp Login",
        "domains": [f"{acme.slug}.EXAMPLE"],
        **more,
    }


def test_a_provider_is_set_up_read_changed_and_removed(acme: World, owner: Caller) -> None:
    made = owner.put(HERE, wanted(acme, joins_as="viewer"), If_None_Match="*")
    assert made.status == 201
    assert made.json["domains"] == [f"{acme.slug}.example"]
    assert made.json["redirect_uri"] == f"http://localhost:8000/accounts/sso/{acme.slug}/corp/callback/"
    assert (made.json["joins_as"], made.json["enforced"], made.json["secret_set"]) == ("viewer", False, True)
    read = owner.get(HERE)
    assert (read.json, read.headers["ETag"]) == (made.json, made.headers["ETag"])
    assert owner.get("identity-providers").json == {"results": [made.json], "next": None}

    body = wanted(acme, enforced=True)
    del body["client_secret"]
    changed = owner.put(HERE, body, If_Match=str(read.headers["ETag"]))
    assert (changed.status, changed.json["enforced"], changed.json["secret_set"]) == (200, True, True)
    assert owner.put(HERE, body, If_Match=str(read.headers["ETag"])).code == "precondition_failed"
    assert owner.put(HERE, body).code == "precondition_required"
    assert secret(acme) == "hunter2hunter2"

    assert owner("DELETE", HERE).status == 204
    assert owner.get(HERE).code == "not_found"
    assert [row[0] for row in told(acme.tenant_id, "identity_provider.%")] == [
        "identity_provider.added",
        "identity_provider.changed",
        "identity_provider.removed",
    ]


def secret(acme: World) -> str:
    with tenant_scope(acme.tenant_id):
        return opened(IdentityProvider.objects.get(slug="corp"))


def test_nothing_changed_is_nothing_recorded(acme: World, owner: Caller) -> None:
    owner.put(HERE, wanted(acme), If_None_Match="*")
    again = owner.put(HERE, wanted(acme), If_Match="*")
    assert again.status == 200
    assert len(told(acme.tenant_id, "identity_provider.%")) == 1


def test_secret_is_written_and_never_read(acme: World, owner: Caller) -> None:
    for answer in (owner.put(HERE, wanted(acme), If_None_Match="*"), owner.get(HERE), owner.get("identity-providers")):
        assert b"hunter2" not in answer.content
    with tenant_scope(acme.tenant_id):
        assert "hunter2" not in IdentityProvider.objects.get(slug="corp").sealed_secret
    owner.put(HERE, wanted(acme, client_secret="another one"), If_Match="*")
    assert secret(acme) == "another one"
    assert told(acme.tenant_id, "identity_provider.changed")[0][3]["secret_changed"]
    owner.put(HERE, wanted(acme, client_secret=None), If_Match="*")
    assert secret(acme) == ""
    refused = owner.put(HERE, wanted(acme, client_secret="abc"), If_Match="*")
    assert (refused.pointers, b"abc" in refused.content) == (["/client_secret"], False)


def test_secret_opens_for_no_other_provider(acme: World, owner: Caller) -> None:
    from vault.crypto import SealBroken

    owner.put(HERE, wanted(acme), If_None_Match="*")
    owner.put("identity-providers/other", wanted(acme, domains=[]), If_None_Match="*")
    with tenant_scope(acme.tenant_id):
        one, other = (IdentityProvider.objects.get(slug=slug) for slug in ("corp", "other"))
        other.sealed_secret = one.sealed_secret
        with pytest.raises(SealBroken):
            opened(other)


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"issuer": "http://login.example"}, "bad_issuer"),
        ({"issuer": "http://127.0.0.1:9000"}, "bad_issuer"),
        ({"issuer": "https://login.example/?tenant=1"}, "bad_issuer"),
        ({"issuer": "https://login.example#x"}, "bad_issuer"),
        ({"issuer": "https://me:pw@login.example"}, "bad_issuer"),
        ({"issuer": "https://login.example/.well-known/openid-configuration"}, "bad_issuer"),
        ({"issuer": "file:///etc/passwd"}, "bad_issuer"),
        ({"issuer": ""}, "bad_issuer"),
        ({"client_id": "two\nlines"}, "bad_client"),
        ({"name": "two\nlines"}, "bad_name"),
        ({"joins_as": "owner"}, "invalid_body"),
        ({"domains": ["not a domain"]}, "bad_domain"),
        ({"domains": ["com"]}, "bad_domain"),
        ({"domains": ["globex.example"]}, "domain_not_allowed"),
    ],
)
def test_a_provider_that_cannot_be_is_refused(acme: World, owner: Caller, wrong: Json, code: str) -> None:
    refused = owner.put(HERE, wanted(acme, **wrong), If_None_Match="*")
    assert (refused.status, refused.code) == (422, code)
    assert owner.get(HERE).status == 404


def test_a_slug_is_one(acme: World, owner: Caller) -> None:
    assert owner.put("identity-providers/No%20Slug", wanted(acme), If_None_Match="*").code == "bad_slug"
    assert owner.put("identity-providers/%00", wanted(acme), If_None_Match="*").code == "bad_slug"


def test_issuer_stays_as_accounts_are_bound_to_it(acme: World, owner: Caller) -> None:
    owner.put(HERE, wanted(acme), If_None_Match="*")
    moved = owner.put(HERE, wanted(acme, issuer="https://elsewhere.example"), If_Match="*")
    assert (moved.status, moved.code) == (409, "issuer_fixed")


def test_a_domain_has_one_provider_and_one_tenant(acme: World, owner: Caller) -> None:
    owner.put(HERE, wanted(acme), If_None_Match="*")
    second = owner.put("identity-providers/second", wanted(acme), If_None_Match="*")
    assert (second.status, second.code) == (409, "domain_taken")
    other = world()
    with pytest.raises(CommandError, match="allowed to another tenant"):
        call_command("sso", "allow", other.slug, f"{acme.slug}.example")
    owner.put(HERE, wanted(acme, domains=[]), If_Match="*")
    assert owner.put("identity-providers/second", wanted(acme), If_None_Match="*").status == 201


def test_the_operator_allows_and_withdraws_domains(acme: World, owner: Caller, capsys: Any) -> None:
    call_command("sso", "allow", acme.slug, "B\u00fccher.example")
    call_command("sso", "allow", acme.slug, "b\u00fccher.example")
    owner.put(HERE, wanted(acme), If_None_Match="*")
    call_command("sso", "withdraw", acme.slug, f"{acme.slug}.example")
    call_command("sso", "domains", acme.slug)
    assert capsys.readouterr().out.splitlines()[-1] == "xn--bcher-kva.example  -"
    assert owner.get(HERE).json["domains"] == []
    assert [row[0] for row in told(acme.tenant_id, "email_domain.%")] == [
        "email_domain.allowed",
        "email_domain.allowed",
        "email_domain.withdrawn",
    ]
    for arguments in (("withdraw", acme.slug, "nobody.example"), ("allow", "no-such-tenant", "a.example")):
        with pytest.raises(CommandError):
            call_command("sso", *arguments)


def test_only_owners_set_providers_up(acme: World, owner: Caller, alice: Caller, bob: Caller, carol: Caller) -> None:
    owner.put(HERE, wanted(acme), If_None_Match="*")
    for who in (alice, bob):
        for answer in (who.get(HERE), who.get("identity-providers"), who.put(HERE, wanted(acme), If_Match="*")):
            assert answer.status == 403
    assert carol.get(HERE).content == carol.get("identity-providers/none").content
    narrow = caller(acme, acme.member("omar", Role.OWNER), "tools:write")
    assert narrow.put(HERE, wanted(acme), If_Match="*").code == "missing_scope"
