"""Draft agents, look them up."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError

from access import grants as access_grants
from access.acting import acting
from access.errors import MissingGrant, MissingScope
from access.permissions import check
from agents.actions import grants, tools
from agents.actions.checking import refuse
from agents.core import document
from agents.core.schema import Problem
from agents.errors import ChangedMeanwhile, UnknownAgent
from agents.models import Agent, AgentVersion
from audit import journal
from tenants.models.tenant import SLUG
from tenants.principal import Principal

Json = Any
Spec = Mapping[str, Json]


def put_draft(slug: str, spec: Spec, *, acting_as: Principal | str, expected: str | None = None) -> Agent:
    """Write the draft of the agent `slug`, which is made if there is none. Runs see it once a version is published.

    spec: the document's `spec`; its `grants`, if given, become the agent's only ones. A spec equal to the newest
    version's takes the draft away; one equal to the draft changes nothing.
    expected: `digest_of` the agent it was written after; None for whatever there is.
    Raises `InvalidDocument`, `ChangedMeanwhile`, and what `may_edit` raises.
    """
    with acting(acting_as) as actor:
        may_edit(slug, acting_as)
        _check_slug(slug)
        refuse(document.agent_problems(spec, tools.specs()), f"The agent {slug} is not valid.")
        _, created = Agent.objects.get_or_create(slug=slug)
        agent = locked(slug=slug)
        if expected is not None and (created or digest_of(agent) != expected):
            raise ChangedMeanwhile
        _save(agent, document.without_grants(spec), actor, created=created)
        grants.apply(agent, spec.get("grants"), acting_as=acting_as)
        return agent


def by_slug(slug: str) -> Agent:
    """Return the agent of the tenant in scope with its live version; raises `UnknownAgent`."""
    agent = Agent.objects.select_related("live").filter(slug=slug).first()
    if agent is None:
        raise UnknownAgent(f"There is no agent {slug!r}.")
    return agent


def locked(**named: Any) -> Agent:
    """Return the agent of that `slug` or `id`, locked until the transaction ends; raises `UnknownAgent`."""
    # No join here: after a wait for the lock its other side would still be that of before.
    agent = Agent.objects.select_for_update().filter(**named).first()
    if agent is None:
        raise UnknownAgent
    return agent


def newest(agent: Agent) -> AgentVersion | None:
    """Return the version with the highest number, live or not; None when there is none."""
    return agent.versions.order_by("-number").first()


def spec_of(agent: Agent) -> Spec | None:
    """Return what is being worked on: the draft, else the newest version's `spec`; None when there is neither."""
    if agent.draft is not None:
        draft: Spec = agent.draft
        return draft
    version = newest(agent)
    return version.document if version is not None else None


def digest_of(agent: Agent) -> str:
    """Return SHA-256 (hex) of `spec_of`, for telling whether somebody changed it meanwhile."""
    return document.digest(agent.slug, spec_of(agent) or {})


def may_edit(slug: str, acting_as: Principal | str) -> None:
    """Raise unless the one who acts may change the agent: by role, or by the grant `edit` on this one.

    Works inside the tenant's scope. Raises `MissingScope`, `MissingGrant`, `AccessDenied`.
    """
    if not isinstance(acting_as, Principal):
        return
    if acting_as.scopes is not None and "agents:write" not in acting_as.scopes:
        raise MissingScope("This key lacks the scope agents:write.")
    agent = Agent.objects.filter(slug=slug).first()
    if agent is None:
        check(acting_as, "agents:write")
    elif not access_grants.held(acting_as, "edit", agent):
        raise MissingGrant(f"Neither the role {acting_as.role} nor a grant allows editing the agent {slug}.")


def _save(agent: Agent, spec: Spec, actor: str, *, created: bool) -> None:
    version = newest(agent)
    draft = None if version is not None and version.document == spec else spec
    if draft == agent.draft:
        return
    agent.draft = draft
    agent.save(update_fields=["draft", "updated_at"])
    journal.record(
        "agent.drafted" if draft is not None else "agent.draft_discarded",
        stream=agent.id,
        actor=actor,
        facts={"digest": document.digest(agent.slug, spec), "new": created},
        payload={"slug": agent.slug, "spec": spec},
    )


def _check_slug(slug: str) -> None:
    try:
        SLUG(slug)
    except ValidationError as error:
        refuse([Problem("", f"{slug!r} is not a slug. {error.messages[0]}", "document")], "The agent is not valid.")
