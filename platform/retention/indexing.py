"""Hash anew whom runs are about: of runs from before there were hashes, and of all when a key is renewed."""

from collections.abc import Iterator
from typing import Any, Final
from uuid import UUID

from agents.core.exact import disclose
from agents.core.spec import agent_spec
from agents.core.subjects import plain, subjects
from agents.engine import about
from agents.models import AgentVersion, Run, RunSubject
from audit import journal
from db.scope import current_tenant_id, tenant_scope
from retention import subject_of
from retention.actions import orders
from retention.models import Order
from vault import hashing

#: Runs that one transaction reads.
BATCH: Final = 200

_FIRST: Final = UUID(int=0)


def index(tenant_id: UUID, *, actor: str) -> int:
    """Hash the subjects of every run of a tenant whose input is still there; returns how many runs have any.

    May be broken off and done again at any time, while others submit runs. What was hashed with a former key is hashed
    with the newest one instead. One record tells of it.
    """
    found = 0
    with tenant_scope(tenant_id):
        versions = list(_versions())
    for version, agent, pointers in versions:
        after = _FIRST
        while True:
            with tenant_scope(tenant_id):
                orders.one_at_a_time()  # no batch erases what this one has read
                runs = list(
                    Run.objects.filter(agent_id=agent, version_id=version, id__gt=after)
                    .order_by("id")
                    .values_list("id", flat=True)[:BATCH]
                )
                found += _index(runs, pointers)
            if len(runs) < BATCH:
                break
            after = runs[-1]
    with tenant_scope(tenant_id):
        journal.record("subjects.indexed", stream=tenant_id, actor=actor, facts={"runs": found})
    return found


def renew_key(tenant_id: UUID, *, actor: str) -> None:
    """Have a new key hash from now on; `index` then hashes anew what the former one did.

    Whoever has the former key can try guesses at the hashes that are left by it. Holds and erasures that wait go on to
    find their subjects by either.
    """
    with tenant_scope(tenant_id):
        key = hashing.renew()
        for order in Order.objects.select_for_update().exclude(sealed_subject=""):
            subject = subject_of.of(order)
            if subject is not None:
                order.digests = about.digests(plain(subject))
                order.save(update_fields=["digests"])
        journal.record("subjects.key_renewed", stream=current_tenant_id(), actor=actor, facts={"key": key.number})


def _versions() -> Iterator[tuple[UUID, UUID, tuple[str, ...]]]:
    """Yield the versions whose agent says whom its runs are about: version, agent, pointers."""
    for version in AgentVersion.objects.order_by("id").iterator(chunk_size=20):
        pointers = agent_spec(version.compiled).subject
        if pointers:
            yield version.id, version.agent_id, pointers


def _index(runs: list[UUID], pointers: tuple[str, ...]) -> int:
    key = hashing.newest()
    rows: list[RunSubject] = []
    for (run, _), payload in journal.payloads_at((run, 1) for run in runs).items():
        for subject in subjects(pointers, _input(payload)):
            rows.append(RunSubject(run_id=run, digest=key.digest(about.PURPOSE, subject), key=key.number))
    RunSubject.objects.bulk_create(rows, ignore_conflicts=True)
    indexed = {row.run_id for row in rows}
    RunSubject.objects.filter(run_id__in=indexed).exclude(key=key.number).delete()
    return len(indexed)


def _input(payload: Any) -> Any:
    return disclose(payload.get("input")) if isinstance(payload, dict) else None
