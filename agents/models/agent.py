"""An agent (mutable) and its versions (immutable)."""

from django.db import models

from db.fields import OrderedJSONField
from db.models import TenantModel, new_id
from tenants.models.tenant import SLUG


class Agent(TenantModel):
    """What a tenant calls an agent. live: the version that new runs get; null before the first publication.

    draft: the document being worked on, not yet a version; null when there is none. stopped_at: since when it takes no
    new runs (`agents.actions.stopping`); null when it takes them.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    slug = models.CharField(max_length=63, validators=[SLUG])
    live = models.ForeignKey("agents.AgentVersion", null=True, on_delete=models.PROTECT, related_name="+")
    draft = OrderedJSONField(null=True)
    stopped_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(TenantModel.Meta):
        default_permissions = ()
        permissions = (
            ("run", "May start runs of the agent"),
            ("edit", "May edit the agent"),
            ("review", "May decide the agent's escalations"),
        )
        constraints = (models.UniqueConstraint(fields=["tenant_id", "slug"], name="one_agent_per_slug"),)

    def __str__(self) -> str:
        return self.slug


class AgentVersion(TenantModel):
    """One version, for ever.

    document: the `spec` as written. compiled: what runs use (`agents.core.spec.agent_spec`): the document, the compiled
    system prompt and every tool's pinned definition. digest: SHA-256 (hex) of the canonical document and tool digests.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    document = OrderedJSONField()
    compiled = OrderedJSONField()
    digest = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(TenantModel.Meta):
        constraints = (models.UniqueConstraint(fields=["agent", "number"], name="one_agent_version_per_number"),)

    def __str__(self) -> str:
        return f"{self.agent_id} v{self.number}"
