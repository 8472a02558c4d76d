"""Every error under /api/ is a problem document."""

from unittest.mock import patch

import pytest
from django.conf import settings
from django.db import OperationalError
from django.test import Client

from agents.actions import runs
from tests.api.conftest import Caller, caller
from tests.worlds import World


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        "cs_abc",
        "Bearer cs_wrong",
        "Bearer cs_a cs_b",
        "Bearer ünïcode",
        "Bearer \x7f",
    ],
)
def test_a_wrong_key_is_refused_without_saying_what_is_wrong(nobody: Caller, database: None, header: str) -> None:
    answer = nobody.get("runs", Authorization=header)

    assert (answer.status, answer.code) == (401, "bad_key")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


def test_a_missing_key_is_asked_for(nobody: Caller, database: None) -> None:
    answer = nobody.get("runs/nonsense")

    assert (answer.status, answer.code) == (401, "no_key")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


def test_a_session_does_not_sign_in(acme: World, nobody: Caller) -> None:
    assert nobody.get("runs", Cookie="sessionid=x").status == 401


@pytest.mark.parametrize(
    "path",
    ["/api", "/api/", "/api/v1", "/api/v1/", "/api/v1/nope", "/api/v1/runs/", "/api/v2/runs", "/api/../x"],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "TRACE"])
def test_an_unknown_address_is_a_problem(nobody: Caller, database: None, method: str, path: str) -> None:
    answer = nobody(method, path)

    assert (answer.status, answer.code) == (404, "not_found")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"])
def test_another_method_is_a_problem(alice: Caller, method: str) -> None:
    answer = alice(method, "runs")

    assert (answer.status, answer.code) == (405, "method_not_allowed")
    assert answer.headers["Allow"] == "GET, HEAD, POST"


def test_an_answer_nobody_makes_is_a_problem(alice: Caller) -> None:
    answer = alice.get("runs", Accept="text/html")

    assert (answer.status, answer.code) == (406, "not_acceptable")


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "a"]
)
def test_another_media_type_is_a_problem(alice: Caller, content_type: str) -> None:
    answer = alice("POST", "runs", raw=b'{"agent": "a", "input": 1}', Content_Type=content_type)

    assert (answer.status, answer.code) == (415, "unsupported_media_type")


def test_malformed_json_is_a_problem_with_its_place(alice: Caller) -> None:
    answer = alice("POST", "runs", raw=b'{"agent" "a"}')

    assert (answer.status, answer.code) == (400, "malformed_json")
    assert "line 1, column 10" in answer.json["detail"]


@pytest.mark.parametrize("raw", [b"[]", b"1", b"null", b'"x"'])
def test_a_body_that_is_no_object_is_a_problem(alice: Caller, raw: bytes) -> None:
    answer = alice("POST", "runs", raw=raw)

    assert (answer.status, answer.code, answer.pointers) == (422, "invalid_body", [""])


def test_a_body_that_is_too_large_is_a_problem(alice: Caller) -> None:
    answer = alice("POST", "runs", raw=b" " * (settings.MAX_BODY_BYTES + 1))

    assert (answer.status, answer.code) == (413, "body_too_large")


def test_who_may_not_is_told_before_what_is_wrong_with_the_body(bob: Caller) -> None:
    assert bob("POST", "runs", raw=b"{").status == 403


def test_an_unforeseen_error_shows_nothing_of_its_insides(alice: Caller) -> None:
    with patch.object(runs, "submit", side_effect=RuntimeError("password is hunter2")):
        answer = alice.post("runs", {"agent": "a", "input": 1})

    assert (answer.status, answer.code) == (500, "internal_error")
    assert b"hunter2" not in answer.content


def test_a_database_that_is_away_is_worth_another_try(alice: Caller) -> None:
    with patch.object(runs, "submit", side_effect=OperationalError("connection to 10.0.0.7 failed")):
        answer = alice.post("runs", {"agent": "a", "input": 1})

    assert (answer.status, answer.code, answer.headers["Retry-After"]) == (503, "unavailable", "1")
    assert b"10.0.0.7" not in answer.content


def test_a_revoked_key_no_longer_signs_in(acme: World) -> None:
    from django.utils import timezone

    from db.scope import tenant_scope
    from tenants.models import ApiKey

    gone = caller(acme, acme.alice)
    assert gone.get("runs").status == 200
    with tenant_scope(acme.tenant_id):
        ApiKey.objects.update(revoked_at=timezone.now())

    assert gone.get("runs").code == "bad_key"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("address", ["/api/v1/nothing", "/api/v1/runs/", "/api/nothing"])
def test_an_address_that_is_not_there_is_a_problem_whatever_the_method(
    alice: Caller, method: str, address: str
) -> None:
    django = Client(enforce_csrf_checks=True)
    answer = django.generic(method, address, "{}", content_type="application/json")
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")


@pytest.mark.parametrize(
    ("address", "media_type"),
    [
        ("/api/v1/runs", "application/problem+json"),
        ("/api/schema", "application/problem+json"),
        ("/", "text/html; charset=utf-8"),
    ],
)
def test_a_host_that_is_not_ours_gets_the_answer_its_address_speaks(address: str, media_type: str) -> None:
    answer = Client(headers={"Host": "elsewhere.example"}).get(address)

    assert (answer.status_code, answer["Content-Type"]) == (400, media_type)
    assert b"elsewhere" not in answer.content
    assert b"ALLOWED_HOSTS" in answer.content


def test_a_host_that_is_not_ours_is_one_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    Client(headers={"Host": "elsewhere.example"}).get("/")

    [record] = [each for each in caplog.records if each.name.startswith("django.security")]
    assert (record.levelname, record.exc_info) == ("WARNING", None)
    assert "elsewhere.example" in record.getMessage()


def test_what_fails_around_the_view_is_a_problem_too(alice: Caller) -> None:
    django = Client(raise_request_exception=False, headers={"Authorization": f"Bearer {alice.key}"})
    with patch("django.middleware.clickjacking.XFrameOptionsMiddleware.process_response", side_effect=RuntimeError):
        answer = django.get("/api/v1/runs")

    assert (answer.status_code, answer["Content-Type"]) == (500, "application/problem+json")
