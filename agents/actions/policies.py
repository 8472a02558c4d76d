"""Define policies, look them up, take them away."""

from collections.abc import Mapping
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import connection
from django.db.models import F

from access.acting import acting
from agents.actions import tools
from agents.actions.checking import refuse
from agents.core.policies import policy_digest, policy_problems
from agents.core.schema import Problem
from agents.core.wording import meant
from agents.errors import ChangedMeanwhile, UnknownPolicy
from agents.models import Agent, Policy, PolicySet
from audit import journal
from db.models import new_id
from db.scope import current_tenant_id
from tenants.models.tenant import SLUG
from tenants.principal import Principal

Json = Any
Spec = Mapping[str, Json]

#: Policies of a tenant: a question names all that ask.
MOST: Final = 50

#: Its lock, held until commit, puts the changes of a tenant's policies in a row.
_LOCK = """
INSERT INTO agents_policyset AS present (id, tenant_id, version) VALUES (%s, %s, 0)
ON CONFLICT (tenant_id) DO UPDATE SET version = present.version
"""


def put(name: str, spec: Spec, *, acting_as: Principal | str, expected: str | None = None) -> Policy:
    """Define the policy `name`; it counts for every call that is planned from now on, of whatever version of an agent.

    One that is so already is returned without a record. expected: digest of what it was written after; None for
    whatever there is. Raises `InvalidDocument`, `ChangedMeanwhile`, and what `acting` raises for `tools:write`.
    """
    with acting(acting_as, "tools:write") as actor:
        refuse([*_name_problems(name), *problems(spec)], f"The policy {name} is not valid.")
        _lock()
        policy = Policy.objects.filter(name=name).first()
        if expected is not None and (policy is None or digest_of(policy) != expected):
            raise ChangedMeanwhile
        if policy is not None and policy.document == spec:
            return policy
        if policy is None:
            refuse(_too_many(), f"The policy {name} cannot be added.")
            policy = Policy.objects.create(name=name, document=dict(spec))
            _record("policy.added", policy, actor)
        else:
            policy.document, policy.number = dict(spec), policy.number + 1
            policy.save(update_fields=["document", "number", "updated_at"])
            _record("policy.changed", policy, actor)
        return policy


def delete(name: str, *, acting_as: Principal | str) -> None:
    """Take the policy away. Raises `UnknownPolicy`, and what `acting` raises for `tools:write`."""
    with acting(acting_as, "tools:write") as actor:
        _lock()
        policy = by_name(name)
        _record("policy.deleted", policy, actor)
        policy.delete()


def by_name(name: str) -> Policy:
    """Return the policy of the tenant in scope; raises `UnknownPolicy`."""
    policy = Policy.objects.filter(name=name).first()
    if policy is None:
        raise UnknownPolicy(f"There is no policy {name!r}.")
    return policy


def digest_of(policy: Policy) -> str:
    """Return what approvals of the calls that it applies to are bound to."""
    return policy_digest(policy.name, policy.document)


def problems(spec: Json) -> list[Problem]:
    """Return what is wrong with a policy's `spec` in the tenant in scope."""
    found = policy_problems(spec, tools.specs())
    if found:
        return found
    known = list(Agent.objects.values_list("slug", flat=True))
    return [
        Problem(f"/applies_to/agents/{index}", f"There is no agent {slug}.{meant(slug, known)}", "document")
        for index, slug in enumerate(spec["applies_to"].get("agents", ()))
        if slug not in known
    ]


def _too_many() -> list[Problem]:
    if Policy.objects.count() < MOST:
        return []
    return [Problem("", f"A tenant has {MOST} policies at most; have one do the work of several.", "document")]


def _name_problems(name: str) -> list[Problem]:
    try:
        SLUG(name)
    except ValidationError as error:
        return [Problem("", f"{name!r} cannot be a policy's name. {error.messages[0]}", "document")]
    return []


def _lock() -> None:
    """Let nobody else change the tenant's policies until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, [new_id(), current_tenant_id()])


def _record(action: str, policy: Policy, actor: str) -> None:
    """Raise the version of the tenant's policies, so that every step is planned by the changed ones, and record it."""
    PolicySet.objects.update(version=F("version") + 1)
    journal.record(
        action,
        stream=policy.id,
        actor=actor,
        facts={
            "number": policy.number,
            "digest": digest_of(policy),
            "version": PolicySet.objects.values_list("version", flat=True).get(),
        },
        payload={"name": policy.name, "spec": policy.document},
    )
