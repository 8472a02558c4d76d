"""`/metrics`, in Prometheus' text format: the installation as a whole, whichever web process is asked.

Gauges are looked up when somebody asks; counters are the totals that workers add up (`metrics.counters`). Only what
this process itself knows, its pool of connections, is its own. Asked more often than every `KEPT_S` it repeats itself.
No label names a tenant, a person, a run or a tool, but for the two that METRICS_TENANTS adds.
"""

import hmac
import ipaddress
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import psycopg
from django.conf import settings
from django.db import Error, connection
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from agents.engine.django_q import SLOTS
from agents.engine.temporal.presence import WORKERS
from checkpoints import figures
from checkpoints.clock import database_now
from db import partitions, pool
from db.roles import dispatch, seal
from metrics import counters
from quotas.addresses import client_address
from quotas.provider import PLACES

PREFIX: Final = "countersign"

#: Seconds that an answer is kept, so that asking often costs the database nothing.
KEPT_S: Final = 5.0

#: Tenants that METRICS_TENANTS names at most: those with the longest queues.
TENANTS: Final = 100

#: The database gives up here rather than work for a scraper that has gone.
_TIMEOUT: Final = "SET LOCAL statement_timeout = '10s'"

# What waits for the supplier is in line for it, not for a worker. The `ready_at` of a run that was begun is when it was
# submitted, whatever it waited for since: only the others' tells how long workers let them wait, but for those that a
# run started: theirs is that of the run. Those that were begun
# are counted, for they go first: some that are there for long tell that nobody takes them.
_QUEUE: Final = """
SELECT count(*),
    coalesce(extract(epoch FROM now() - min(greatest(ready_at, created_at)) FILTER (WHERE status = 'queued')), 0),
    count(*) FILTER (WHERE status <> 'queued')
FROM agents_run WHERE ready_at IS NOT NULL AND waiting_for IS DISTINCT FROM 'provider'
"""

# Also those whose holder is gone: until a worker sweeps, they are not in the queue.
_OVERDUE: Final = """
SELECT count(*), coalesce(extract(epoch FROM now() - min(due_at)), 0) FROM agents_run
WHERE due_at < now() AND ready_at IS NULL
"""

# The time is in the ids. Whole statements wait or none of them does.
_LOG: Final = """
SELECT coalesce(sum(cardinality(record_ids)), 0), coalesce(greatest(0, extract(epoch FROM now())
    - min(('x' || left(replace(record_ids[1]::text, '-', ''), 12))::bit(48)::bigint) / 1000.0), 0)
FROM (SELECT record_ids FROM audit_outbox UNION ALL SELECT record_ids FROM audit_outbox_aside) AS waiting
"""

_BREAKERS: Final = "SELECT count(*) FROM agents_toolbreaker WHERE opened_at IS NOT NULL"

# By tenant, so that each part is a range of the index by status, and runs that have ended cost nothing.
_RUNS: Final = """
SELECT r.status, CASE r.status WHEN 'waiting' THEN r.waiting_for ELSE '' END, count(*)
FROM tenants_tenant t CROSS JOIN LATERAL (
    SELECT status, waiting_for FROM agents_run
    WHERE tenant_id = t.id AND status IN ('queued', 'running', 'waiting')) AS r
GROUP BY 1, 2
"""

_ESCALATIONS: Final = """
SELECT e.kind, count(*), count(*) FILTER (WHERE e.due_at < now()) FROM tenants_tenant t CROSS JOIN LATERAL (
    SELECT kind, due_at FROM escalations_escalation WHERE tenant_id = t.id AND status = 'open') AS e
GROUP BY 1
"""

_LETTERS: Final = """
SELECT count(*), coalesce(extract(epoch FROM now() - min(created_at)), 0) FROM notices_letter
WHERE next_at IS NOT NULL AND attempts > 0
"""

_LOCKS: Final = """
SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
WHERE d.datname = current_database() AND l.locktype = 'advisory' AND l.granted AND l.classid::bigint = ANY(%s)
"""

_TENANTS: Final = """
SELECT t.slug, q.runs, q.age FROM (
    SELECT tenant_id, count(*) AS runs,
        coalesce(extract(epoch FROM now() - min(greatest(ready_at, created_at)) FILTER (WHERE status = 'queued')), 0)
            AS age FROM agents_run
    WHERE ready_at IS NOT NULL AND waiting_for IS DISTINCT FROM 'provider' GROUP BY 1 ORDER BY 2 DESC LIMIT %s
) AS q JOIN tenants_tenant t ON t.id = q.tenant_id
"""


@never_cache
@require_safe
def show(request: HttpRequest) -> HttpResponse:
    """Tell whoever may know; 503 when the database cannot be asked."""
    if not may_read(request):
        text = "Metrics are read with METRICS_TOKEN as a bearer token; without that setting, from this machine alone.\n"
        return HttpResponse(text, status=403, content_type="text/plain; charset=utf-8")
    try:
        return HttpResponse(_kept.text(), content_type=CONTENT_TYPE_LATEST)
    except (Error, psycopg.Error):
        return HttpResponse("The database can't be asked.\n", status=503, content_type="text/plain; charset=utf-8")


def may_read(request: HttpRequest) -> bool:
    """Say whether the request shows the token or, when there is none, comes from this machine and by no proxy."""
    if settings.METRICS_TOKEN:
        shown = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return hmac.compare_digest(shown.encode(), settings.METRICS_TOKEN.encode())
    if not settings.TRUST_PROXY and ("X-Forwarded-For" in request.headers or "Forwarded" in request.headers):
        return False
    try:
        return ipaddress.ip_address(client_address(request)).is_loopback
    except ValueError:
        return False


class Kept:
    """The last answer, for a while."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until = 0.0
        self._text = b""

    def text(self) -> bytes:
        """Return it, made anew when it is too old; who asks meanwhile waits for it. Raises the database's errors."""
        with self._lock:
            if time.monotonic() >= self._until:
                registry = CollectorRegistry()
                registry.register(Installation())
                self._text = generate_latest(registry)
                self._until = time.monotonic() + KEPT_S
            return self._text

    def forget(self) -> None:
        """Make the next one anew."""
        self._until = 0.0


_kept = Kept()


class Installation:
    """What is told, as prometheus_client collects it."""

    def describe(self) -> list[Metric]:
        """Say nothing beforehand: the registry would ask the database to learn the names."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        with dispatch(), connection.cursor() as cursor:
            cursor.execute(_TIMEOUT)
            looked_up = [*_runs(cursor), *_people(cursor), *_workers(cursor)]
        with seal(), connection.cursor() as cursor:
            cursor.execute(_TIMEOUT)
            cursor.execute(_LOG)
            waiting, lag = cursor.fetchone()
            left = list(_left(database_now()))
        yield from looked_up
        yield _gauge("log_waiting", "Records that are in no sealed log yet.", waiting)
        yield _gauge("log_lag_seconds", "How long the oldest of them has waited.", float(lag))
        yield from left
        ahead = partitions.months_ahead(partitions.present("default"), datetime.now(UTC).date())
        yield _gauge("partitions_ahead_months", "Whole months for which the journal has partitions.", ahead)
        yield from _totals()
        yield from _own()


def _left(now: datetime) -> Iterator[Metric]:
    """Yield whether checkpoints leave the building, where they are to. Asked as the seal role."""
    behind = GaugeMetricFamily(
        f"{PREFIX}_witness_behind_seconds",
        "How long ago the witness was last asked for all that there was, and answered.",
        labels=("witness",),
    )
    refused = GaugeMetricFamily(
        f"{PREFIX}_witness_refused_logs", "Logs that the witness does not cosign.", labels=("witness",)
    )
    for name, seconds, logs in figures.witnesses(now):
        behind.add_metric((name,), seconds)
        refused.add_metric((name,), logs)
    yield from (behind, refused)
    late = figures.late(now)
    yield _gauge("checkpoint_mail_late_seconds", "How long the letter that is due longest has waited.", late)


def _runs(cursor: Any) -> Iterator[Metric]:
    cursor.execute(_QUEUE)
    depth, age, begun = cursor.fetchone()
    yield _gauge("queue_depth", "Runs that could go on and wait for a worker.", depth)
    yield _gauge("queue_oldest_seconds", "How long the oldest of them that is new has waited.", float(age))
    yield _gauge("queue_begun", "Those of them that are not new.", begun)
    cursor.execute(_OVERDUE)
    overdue, age = cursor.fetchone()
    yield _gauge("runs_overdue", "Runs whose timer or lease has run out, which no worker has seen to yet.", overdue)
    yield _gauge("runs_overdue_seconds", "How long ago the first of these did.", float(age))
    cursor.execute(_BREAKERS)
    yield _gauge("breakers_open", "Tools that are not called for now because they failed.", cursor.fetchone()[0])
    cursor.execute(_RUNS)
    live = GaugeMetricFamily(f"{PREFIX}_runs", "Runs that have not ended.", labels=("status", "waiting_for"))
    for status, waiting_for, runs in cursor.fetchall():
        live.add_metric((status, waiting_for), runs)
    yield live
    if settings.METRICS_TENANTS:
        yield from _tenants(cursor)


def _tenants(cursor: Any) -> Iterator[Metric]:
    cursor.execute(_TENANTS, [TENANTS])
    depth = GaugeMetricFamily(f"{PREFIX}_tenant_queue_depth", "The same of one tenant.", labels=("tenant",))
    oldest = GaugeMetricFamily(f"{PREFIX}_tenant_queue_oldest_seconds", "The same of one tenant.", labels=("tenant",))
    for slug, runs, age in cursor.fetchall():
        depth.add_metric((slug,), runs)
        oldest.add_metric((slug,), float(age))
    yield from (depth, oldest)


def _people(cursor: Any) -> Iterator[Metric]:
    cursor.execute(_ESCALATIONS)
    waiting = GaugeMetricFamily(f"{PREFIX}_escalations_open", "Questions that wait for people.", labels=("kind",))
    overdue = GaugeMetricFamily(f"{PREFIX}_escalations_overdue", "Those past their due time.", labels=("kind",))
    for kind, total, late in cursor.fetchall():
        waiting.add_metric((kind,), total)
        overdue.add_metric((kind,), late)
    yield from (waiting, overdue)
    cursor.execute(_LETTERS)
    letters, age = cursor.fetchone()
    yield _gauge("letters_waiting", "Notices by e-mail that were tried and not sent yet.", letters)
    yield _gauge("letters_waiting_seconds", "How long the oldest of them has waited.", float(age))


def _workers(cursor: Any) -> Iterator[Metric]:
    cursor.execute(_LOCKS, [[SLOTS, WORKERS]])
    yield _gauge("workers", "Worker processes that drive runs, on either engine.", cursor.fetchone()[0])
    if settings.PROVIDER_CONCURRENCY:
        cursor.execute(_LOCKS, [[PLACES]])
        yield _gauge("provider_places_taken", "Model calls in the air, of those allowed.", cursor.fetchone()[0])
        yield _gauge("provider_places", "Model calls allowed at once.", settings.PROVIDER_CONCURRENCY)


def _totals() -> Iterator[Metric]:
    families = {
        name: CounterMetricFamily(f"{PREFIX}_{name}", kind.help, labels=kind.labels)
        for name, kind in counters.KINDS.items()
    }
    seen = set()
    for name, labels, value in counters.totals():
        families[name].add_metric(labels, value)
        seen.add(name)
    for name, kind in counters.KINDS.items():
        if name not in seen and not kind.labels:
            families[name].add_metric((), 0)
    yield from families.values()


def _own() -> Iterator[Metric]:
    open_, waiting = pool.in_use()
    yield _gauge("web_pool_connections", "Connections to the database of the web process that was asked.", open_)
    yield _gauge("web_pool_waiting", "Its requests that wait for one.", waiting)


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(f"{PREFIX}_{name}", words, value=value)
