"""Too many requests are refused by address, key, person and tenant; the answer says which and for how long."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import AsyncClient, Client
from pytest_django import Settings

from tenants.models import Role
from tests.api.conftest import Caller, caller, member
from tests.console.conftest import peopled, signed_in
from tests.trips import trips
from tests.worlds import World

pytestmark = pytest.mark.usefixtures("database")

Limits = Callable[..., None]


def test_an_address_is_refused_before_its_key_is_looked_at(
    limits: Limits, alice: Caller, django_assert_num_queries: Any
) -> None:
    limits(address=3)
    assert [alice.get("runs").status for _ in range(3)] == [200] * 3

    with django_assert_num_queries(0), trips() as made:
        refused = alice.get("runs")

    assert made == []
    assert (refused.status, refused.code) == (429, "rate_limited")
    assert 1 <= int(refused.headers["Retry-After"]) <= 7200
    assert re.fullmatch(r'"address";r=0;t=\d+', refused.headers["RateLimit"])
    assert refused.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/api/v1/runs", "/api/nothing", "/api/schema", "/healthz", "/accounts/login/"])
def test_every_address_counts(limits: Limits, path: str) -> None:
    limits(address=1)
    Client().get(path)

    assert Client().get(path).status_code == 429


def test_another_address_is_let_in(limits: Limits) -> None:
    limits(address=1)
    for _ in range(3):
        Client().get("/healthz")

    assert Client().get("/healthz", REMOTE_ADDR="192.0.2.9").status_code == 200


def test_an_ipv6_customer_is_one_however_many_addresses_it_uses(limits: Limits) -> None:
    limits(address=3)

    statuses = [Client().get("/healthz", REMOTE_ADDR=f"2001:db8:0:1::{each:x}").status_code for each in range(5)]

    assert statuses == [200] * 3 + [429] * 2


def test_a_client_does_not_choose_its_address(limits: Limits, settings: Settings) -> None:
    limits(address=2)
    statuses = [Client().get("/healthz", headers={"X-Forwarded-For": f"192.0.2.{n}"}).status_code for n in range(4)]
    assert statuses == [200, 200, 429, 429]

    settings.TRUST_PROXY = 1
    statuses = [
        Client().get("/healthz", headers={"X-Forwarded-For": f"192.0.2.{n}, 198.51.100.7"}).status_code
        for n in range(4)
    ]
    assert statuses == [200, 200, 429, 429]


def test_a_key_has_its_own_limit(limits: Limits, acme: World, alice: Caller) -> None:
    other = caller(acme, acme.alice)
    limits(key=2)

    assert [alice.get("runs").status for _ in range(3)] == [200, 200, 429]
    assert other.get("runs").status == 200


def test_a_person_is_limited_over_all_their_keys(limits: Limits, acme: World, alice: Caller, bob: Caller) -> None:
    other = caller(acme, acme.alice)
    limits(user=2)

    assert [alice.get("runs").status, other.get("runs").status, alice.get("runs").status] == [200, 200, 429]
    assert bob.get("runs").status == 200


def test_a_tenant_is_limited_over_all_its_people(limits: Limits, alice: Caller, bob: Caller, globex: World) -> None:
    carol = caller(globex, globex.alice)
    limits(tenant=2)

    assert [alice.get("runs").status, bob.get("runs").status, alice.get("runs").status] == [200, 200, 429]
    assert carol.get("runs").status == 200


def test_an_answer_tells_the_limits(limits: Limits, alice: Caller) -> None:
    limits(key=10)

    answer = alice.get("runs")

    policies = 'address";q=60000;w=60, "key";q=10;w=3600, "user";q=30000;w=60, "tenant";q=60000;w=60'
    assert answer.headers["RateLimit-Policy"] == f'"{policies}'
    assert re.fullmatch(r'"key";r=9;t=\d+', answer.headers["RateLimit"])
    assert 1 <= int(answer.headers["RateLimit"].rpartition("=")[2]) <= 3600


@pytest.mark.parametrize("policy", ["address", "key", "user", "tenant"])
def test_a_refusal_tells_the_limit_that_refused(limits: Limits, alice: Caller, policy: str) -> None:
    limits(**{policy: 1})
    alice.get("runs")

    refused = alice.get("runs")

    assert refused.status == 429
    assert refused.headers["RateLimit"].startswith(f'"{policy}";r=0;')
    assert refused.headers["RateLimit-Policy"].endswith(f'"{policy}";q=1;w=3600')


def test_without_a_key_the_address_is_told(limits: Limits) -> None:
    answer = Client().get("/api/v1/runs")

    assert answer.status_code == 401
    assert re.fullmatch(r'"address";r=\d+;t=\d+', answer["RateLimit"])


def test_guessed_keys_have_a_small_budget_and_lock_out_none_that_worked(limits: Limits, alice: Caller) -> None:
    limits(failures=3)
    assert alice.get("runs").status == 200

    guessed = [Caller(None, f"cs_{guess}").get("runs") for guess in range(5)]

    assert [answer.code for answer in guessed] == ["bad_key"] * 3 + ["rate_limited"] * 2
    assert int(guessed[-1].headers["Retry-After"]) >= 1
    assert re.fullmatch(r'"failures";r=0;t=\d+', guessed[-1].headers["RateLimit"])
    assert alice.get("runs").status == 200


def test_a_missing_key_is_no_guess(limits: Limits) -> None:
    limits(failures=1)

    assert [Client().get("/api/v1/runs").status_code for _ in range(4)] == [401] * 4


def test_a_limit_that_is_off_refuses_nobody(settings: Settings, limits: Limits, alice: Caller) -> None:
    settings.RATE_LIMITS = dict.fromkeys(settings.RATE_LIMITS)

    answer = alice.get("runs")

    assert answer.status == 200
    assert "RateLimit" not in answer.headers
    assert "RateLimit-Policy" not in answer.headers


@pytest.mark.parametrize("policy", ["user", "tenant"])
def test_the_console_says_so_on_a_page(limits: Limits, policy: str) -> None:
    acme = peopled()
    client = signed_in(acme, "alice")
    limits(**{policy: 2})

    pages = [client.get(f"/{acme.slug}/runs/") for _ in range(3)]

    assert [page.status_code for page in pages] == [200, 200, 429]
    assert "Too many" in pages[-1].content.decode()
    assert int(pages[-1]["Retry-After"]) >= 1
    assert pages[-1]["Content-Type"].startswith("text/html")


def test_console_and_interface_share_a_persons_budget(limits: Limits) -> None:
    acme = peopled()
    client, key = signed_in(acme, "alice"), caller(acme, acme.alice)
    limits(user=2)

    assert client.get(f"/{acme.slug}/runs/").status_code == 200
    assert [key.get("runs").status for _ in range(2)] == [200, 429]


def test_a_role_that_may_not_is_counted_too(limits: Limits, acme: World) -> None:
    viewer = caller(acme, member(acme, Role.VIEWER, "vera"))
    limits(key=2)

    assert [viewer.post("runs", {}).status for _ in range(3)] == [403, 403, 429]


async def _statuses(path: str, times: int) -> list[int]:
    return [(await AsyncClient().get(path)).status_code for _ in range(times)]


def test_it_is_the_same_under_asgi(limits: Limits) -> None:
    from asgiref.sync import async_to_sync

    limits(address=2)

    assert async_to_sync(_statuses)("/healthz", 3) == [200, 200, 429]
