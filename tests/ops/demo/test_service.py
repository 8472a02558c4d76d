"""The systems that the demo's tools reach, over real HTTP."""

import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.ops.demo.conftest import PYTHONPATH, Running

TOKEN = {"Authorization": "Bearer sesame"}
REFUND = {"order_id": "ORD-2001", "payment_id": "pay_7001", "amount_minor": 4990, "reason": "broken"}


def test_a_customer_has_a_risk_score(service: Running) -> None:
    status, record, _ = service.call("GET", "/acme/customers/CUST-1001", **TOKEN)

    assert status == 200
    assert record["name"] == "Ada Lindqvist"
    assert record["risk_score"] == 12


def test_the_same_id_is_another_person_in_another_tenant(service: Running) -> None:
    _, record, _ = service.call("GET", "/globex/customers/CUST-1001")

    assert record["name"] == "Jonas Berg"


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}])
def test_a_tenant_with_a_token_needs_it(service: Running, headers: dict[str, str]) -> None:
    assert service.call("GET", "/acme/customers/CUST-1001", **headers)[0] == 401
    assert service.call("POST", "/acme/refunds", REFUND, Idempotency_Key="k", **headers)[0] == 401


def test_the_fraud_check_is_down_for_some_and_the_backup_answers(service: Running) -> None:
    assert service.call("GET", "/acme/fraud/CUST-1001", **TOKEN)[1]["source"] == "primary"
    assert service.call("GET", "/acme/fraud/CUST-1004", **TOKEN)[0] == 503
    assert service.call("GET", "/acme/fraud-backup/CUST-1004", **TOKEN)[1] == {
        "customer_id": "CUST-1004",
        "flagged": False,
        "source": "backup",
    }


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/acme/customers/NOBODY"),
        ("GET", "/acme/orders/NONE"),
        ("GET", "/unknown/customers/CUST-1001"),
        ("GET", "/acme/customers/CUST-1001/more"),
        ("GET", "/"),
        ("POST", "/acme/customers/CUST-1001"),
    ],
)
def test_what_is_not_there_is_404(service: Running, method: str, path: str) -> None:
    assert service.call(method, path, None if method == "GET" else {}, **TOKEN)[0] == 404


def test_a_refund_is_made_once_for_each_key(service: Running) -> None:
    first = service.call("POST", "/acme/refunds", REFUND, Idempotency_Key="k1", **TOKEN)
    again = service.call("POST", "/acme/refunds", REFUND, Idempotency_Key="k1", **TOKEN)

    assert (first[0], again[0]) == (201, 201)
    assert first[1] == again[1]
    assert "Idempotent-Replayed" not in first[2]
    assert again[2]["Idempotent-Replayed"] == "true"
    (entry,) = service.call("GET", "/ledger")[1]["entries"]
    assert (entry["key"], entry["tenant"], entry["effect"], entry["seen"]) == ("k1", "acme", "refund", 2)
    assert entry["request"] == REFUND


def test_a_key_of_another_request_is_refused(service: Running) -> None:
    service.call("POST", "/acme/refunds", REFUND, Idempotency_Key="k1", **TOKEN)
    other = service.call("POST", "/acme/refunds", {**REFUND, "amount_minor": 1}, Idempotency_Key="k1", **TOKEN)

    assert other[0] == 422
    assert len(service.call("GET", "/ledger")[1]["entries"]) == 1


def test_the_same_money_is_not_paid_back_twice(service: Running) -> None:
    service.call("POST", "/acme/refunds", REFUND, Idempotency_Key="k1", **TOKEN)
    status, body, _ = service.call("POST", "/acme/refunds", REFUND, Idempotency_Key="k2", **TOKEN)

    assert status == 409
    assert body == {"error": "Of 4990 paid, 4990 have been refunded already."}


def test_one_of_many_at_once_pays(service: Running) -> None:
    def pay(number: int) -> int:
        return service.call("POST", "/acme/refunds", REFUND, Idempotency_Key=f"k{number}", **TOKEN)[0]

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(pay, range(16)))

    assert sorted(set(statuses)) == [201, 409]
    assert statuses.count(201) == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({**REFUND, "amount_minor": 0}, 422),
        ({**REFUND, "amount_minor": "4990"}, 422),
        ({**REFUND, "amount_minor": 4991}, 409),
        ({**REFUND, "payment_id": "pay_x"}, 404),
        ({**REFUND, "order_id": "ORD-X"}, 404),
        ({**REFUND, "order_id": "ORD-2004", "payment_id": "pay_7005"}, 409),
        (b"{", 400),
        ([], 400),
    ],
)
def test_a_bad_refund_is_refused_and_leaves_no_entry(service: Running, body: object, status: int) -> None:
    assert service.call("POST", "/acme/refunds", body, Idempotency_Key="k", **TOKEN)[0] == status
    assert service.call("GET", "/ledger")[1] == {"entries": []}


def test_a_write_without_a_key_is_refused(service: Running) -> None:
    assert service.call("POST", "/acme/refunds", REFUND, **TOKEN)[0] == 400


def test_notes_are_kept_once_for_each_key(service: Running) -> None:
    first = service.call("POST", "/acme/tickets/T-1/notes", {"text": "Done."}, Idempotency_Key="n", **TOKEN)
    again = service.call("POST", "/acme/tickets/T-1/notes", {"text": "Done."}, Idempotency_Key="n", **TOKEN)

    assert first[1] == again[1]
    assert first[1]["ticket_id"] == "T-1"
    assert service.call("POST", "/acme/tickets/T-1/notes", {"text": " "}, Idempotency_Key="m", **TOKEN)[0] == 422


def test_a_body_without_end_is_not_read(service: Running) -> None:
    assert service.call("POST", "/acme/refunds", b"x" * 70_000, Idempotency_Key="k", **TOKEN)[0] == 413


def test_a_used_port_is_named_in_a_sentence(service: Running) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ended = subprocess.run(
            [sys.executable, "-m", "ops.demo.service", "--port", port],
            capture_output=True,
            text=True,
            timeout=30,
            env={**os.environ, **PYTHONPATH},
        )

    assert ended.returncode == 2
    assert f"Cannot listen on 127.0.0.1:{port}" in ended.stderr
