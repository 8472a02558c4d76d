"""The chore that sends: takes what is due across tenants, and hands each delivery to a thread of its own.

A delivery is taken for `TAKEN_S` seconds in a commit of its own, sent outside any transaction, and its outcome is
written after. A process that dies in between leaves it to be taken again: sent at least once, under the same id.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import random
from typing import Final
from uuid import UUID

from django.db import connection, connections
from django.db.models.functions import Now

from agents.actions.runs import transaction_time
from db.errors import Refusal
from db.roles import dispatch
from db.scope import tenant_scope
from egress.errors import EgressError
from egress.installed import webhook_client
from egress.messages import Request
from webhooks import backoff, bodies, secrets_of, signing
from webhooks.actions import endpoints
from webhooks.models import Delivery

log = logging.getLogger(__name__)

#: Deliveries one process sends at once, of all tenants and of one; seconds that one may take; seconds after which who
#: took it is taken for dead.
AT_ONCE: Final = 8
OF_ONE_TENANT: Final = 2
TIMEOUT_S: Final = 15.0
TAKEN_S: Final = 120

#: How long the log of what is over is kept, and how many rows are let go at a time.
KEPT: Final = timedelta(days=30)
LET_GO: Final = 100

GONE: Final = 410

#: Why there was no answer, as the log of deliveries says it.
PAUSED: Final = "The webhook is paused; make it active and send this again."
NOT_MADE: Final = "The message could not be made; the workers' log says why."
NOT_IN_TIME: Final = "It could not be sent for a day."

#: The tenants' oldest first, then their second ones: however much one has pending, the others' turn comes.
_TAKE: Final = """
WITH due AS (
    SELECT id, next_at, tenant_id, row_number() OVER (PARTITION BY tenant_id ORDER BY next_at, id) AS turn
    FROM webhooks_delivery WHERE next_at <= now()
), turns AS (
    SELECT due.id, due.next_at, due.turn + coalesce(busy.sending, 0) AS turn
    FROM due LEFT JOIN unnest(%(tenants)s::uuid[], %(sending)s::int[]) AS busy (tenant_id, sending) USING (tenant_id)
)
UPDATE webhooks_delivery SET next_at = now() + make_interval(secs => %(taken)s), attempts = attempts + 1
WHERE id IN (SELECT d.id FROM webhooks_delivery d JOIN turns ON turns.id = d.id
             WHERE d.next_at <= now() AND turns.turn <= %(each)s
             ORDER BY turns.turn, turns.next_at LIMIT %(most)s FOR UPDATE OF d SKIP LOCKED)
RETURNING tenant_id, id
"""


class Senders:
    """The threads of one process that send, made when there is something to send."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._busy: Counter[UUID] = Counter()
        self._threads: ThreadPoolExecutor | None = None

    def send_due(self) -> None:
        """Take what is due, as much as there are threads for and a tenant may use, and begin to send it."""
        with self._lock:
            busy = +self._busy
        room = AT_ONCE - busy.total()
        for tenant_id, delivery_id in _take(room, busy) if room > 0 else []:
            with self._lock:
                self._threads = self._threads or ThreadPoolExecutor(AT_ONCE, thread_name_prefix="webhook")
                self._busy[tenant_id] += 1
            self._threads.submit(self._send, tenant_id, delivery_id)

    def close(self) -> None:
        """Wait for what is being sent, and end the threads."""
        with self._lock:
            threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown()

    def _send(self, tenant_id: UUID, delivery_id: UUID) -> None:
        try:
            send(tenant_id, delivery_id)
        except Exception:
            log.exception("a delivery broke; it is tried again", extra={"delivery": str(delivery_id)})
        finally:
            connections.close_all()
            with self._lock:
                self._busy[tenant_id] -= 1


def _take(most: int, busy: Mapping[UUID, int]) -> list[tuple[UUID, UUID]]:
    with dispatch(), connection.cursor() as cursor:
        tenants, sending = list(busy), list(busy.values())
        limits = {"taken": TAKEN_S, "most": most, "each": OF_ONE_TENANT}
        cursor.execute(_TAKE, {**limits, "tenants": tenants, "sending": sending})
        taken: list[tuple[UUID, UUID]] = cursor.fetchall()
        return taken


@dataclass(frozen=True, slots=True)
class _Ready:
    url: str
    headers: dict[str, str]
    body: bytes
    endpoint_id: UUID | None


def send(tenant_id: UUID, delivery_id: UUID) -> None:
    """Send one delivery and write what came of it."""
    try:
        ready = _prepared(tenant_id, delivery_id)
    except Exception:
        log.exception("a webhook's message could not be made", extra={"delivery": str(delivery_id)})
        with tenant_scope(tenant_id):
            delivery = _locked(delivery_id)
            if delivery is not None:
                _failed(delivery, None, NOT_MADE)
        return
    if ready is None:
        return
    connection.close()
    answered, error = _post(ready)
    with tenant_scope(tenant_id):
        if answered == GONE and ready.endpoint_id is not None:
            endpoints.gone(ready.endpoint_id)
        delivery = _locked(delivery_id)
        if delivery is None:
            return
        if answered is not None and 200 <= answered < 300:
            delivery.status, delivery.delivered_at, delivery.next_at = "delivered", transaction_time(), None
            delivery.answered, delivery.error = answered, None
            delivery.save()
        else:
            _failed(delivery, answered, error)
        over = Delivery.objects.filter(next_at__isnull=True, created_at__lt=Now() - KEPT)
        Delivery.objects.filter(id__in=list(over.values_list("id", flat=True)[:LET_GO])).delete()


def _locked(delivery_id: UUID) -> Delivery | None:
    """Return the delivery, its row locked, unless it was forgotten meanwhile with its webhook."""
    return Delivery.objects.select_for_update(of=("self",)).select_related("endpoint").filter(id=delivery_id).first()


def _prepared(tenant_id: UUID, delivery_id: UUID) -> _Ready | None:
    """Return what to send; None when there is nothing to send, and why is written."""
    with tenant_scope(tenant_id):
        delivery = Delivery.objects.select_related("endpoint").filter(id=delivery_id).first()
        if delivery is None:
            return None
        if delivery.endpoint is not None and not delivery.endpoint.is_active:
            _given_up(delivery, PAUSED)
            return None
        # One that was never tried is tried, however late: the installation may have stood still.
        if delivery.attempts > 1 and transaction_time() > delivery.created_at + backoff.FOR:
            _given_up(delivery, delivery.error or NOT_IN_TIME)
            return None
        try:
            return _ready(delivery)
        except Refusal as refused:
            _failed(delivery, None, str(refused))
            return None


def _ready(delivery: Delivery) -> _Ready:
    now: datetime = transaction_time()
    endpoint = delivery.endpoint
    if endpoint is not None:
        url, keys = endpoint.url, secrets_of.keys(endpoint, now)
    elif delivery.run_id is not None:
        url, keys = delivery.url or "", [secrets_of.of_callback(delivery.run_id)]
    else:
        raise ValueError("a delivery has an endpoint, or is a run's callback")
    endpoints.check_host(url)
    body = bodies.body_of(delivery)
    signed = signing.headers(keys, id=f"msg_{delivery.id}", at_s=int(time.time()), body=body)
    return _Ready(url, {"Content-Type": "application/json", **signed}, body, delivery.endpoint_id)


def _post(ready: _Ready) -> tuple[int | None, str]:
    wanted = Request(
        "POST", ready.url, ready.headers, ready.body, timeout_s=TIMEOUT_S, max_bytes=64 * 1024, max_redirects=0
    )
    try:
        status = webhook_client().send(wanted).status
    except EgressError as error:
        return None, error.detail
    return status, f"The answer was {status}."


def _failed(delivery: Delivery, answered: int | None, error: str) -> None:
    delivery.answered, delivery.error = answered, error[:300]
    endpoint = delivery.endpoint
    paused = endpoint is not None and not endpoint.is_active
    delivery.next_at = None
    if not paused:
        now = transaction_time()
        delivery.next_at = backoff.next_at(
            made_at=delivery.created_at,
            now=now,
            attempts=delivery.attempts,
            jitter=random(),  # noqa: S311 - spreads attempts
        )
    delivery.status = "pending" if delivery.next_at is not None else "failed"
    delivery.save()


def _given_up(delivery: Delivery, error: str) -> None:
    delivery.status, delivery.next_at, delivery.error = "failed", None, error
    delivery.save()


SENDERS: Final = Senders()
