"""Mutable: members who are granted things together."""

from django.contrib.auth.models import Group
from django.db import models

from db.models import TenantModel, new_id
from tenants.models.tenant import SLUG


class Team(TenantModel):
    """A team of a tenant. It owns one Django group, which the grant tables point at; nothing else uses groups."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    slug = models.CharField(max_length=63, validators=[SLUG])
    name = models.CharField(max_length=200, blank=True)
    group = models.OneToOneField(Group, on_delete=models.PROTECT)

    class Meta(TenantModel.Meta):
        constraints = (models.UniqueConstraint(fields=["tenant_id", "slug"], name="one_team_per_slug"),)

    def __str__(self) -> str:
        return self.slug


class TeamMember(TenantModel):
    """A member's place in a team."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="members")
    user = models.ForeignKey("tenants.User", on_delete=models.CASCADE)

    class Meta(TenantModel.Meta):
        constraints = (models.UniqueConstraint(fields=["team", "user"], name="one_place_per_team"),)

    def __str__(self) -> str:
        return f"{self.user_id} in {self.team_id}"
