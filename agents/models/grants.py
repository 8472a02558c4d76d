"""Object grants: django-guardian's direct-foreign-key tables, carrying the tenant. Reached by `access.grants` only.

The unique index begins with the object and its holder: the check finds the one row it asks for, however many there are,
and an object's grants are found by the same index.
"""

from typing import ClassVar

from django.db import models
from guardian.managers import GroupObjectPermissionManager, UserObjectPermissionManager
from guardian.models import GroupObjectPermissionBase, UserObjectPermissionBase

from agents.models.agent import Agent
from agents.models.tool import Tool
from db.models import TenantManager, TenantModel, new_id


class UserGrantManager(TenantManager, UserObjectPermissionManager):  # type: ignore[type-arg]
    """Guardian's manager, inside the tenant's scope."""


class TeamGrantManager(TenantManager, GroupObjectPermissionManager):  # type: ignore[type-arg]
    """Guardian's manager, inside the tenant's scope."""


class UserGrant(UserObjectPermissionBase, TenantModel):
    """One permission of one member on one object."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)

    objects: ClassVar[UserGrantManager] = UserGrantManager()

    class Meta:
        abstract = True
        base_manager_name = "objects"
        unique_together = (("content_object", "user", "permission"),)


class TeamGrant(GroupObjectPermissionBase, TenantModel):
    """One permission of one team (through the group it owns) on one object."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)

    objects: ClassVar[TeamGrantManager] = TeamGrantManager()

    class Meta:
        abstract = True
        base_manager_name = "objects"
        unique_together = (("content_object", "group", "permission"),)


class ToolUserGrant(UserGrant):
    """A member may have runs call a tool. condition: CEL over `args` and `principal`; null for whatever arguments."""

    content_object = models.ForeignKey(Tool, on_delete=models.CASCADE, db_index=False)
    condition = models.TextField(null=True)  # noqa: DJ001 - absent is not empty


class ToolTeamGrant(TeamGrant):
    """A team's members may have runs call a tool. condition: as of `ToolUserGrant`."""

    content_object = models.ForeignKey(Tool, on_delete=models.CASCADE, db_index=False)
    condition = models.TextField(null=True)  # noqa: DJ001


class AgentUserGrant(UserGrant):
    """A member may run, edit or review an agent."""

    content_object = models.ForeignKey(Agent, on_delete=models.CASCADE, db_index=False)


class AgentTeamGrant(TeamGrant):
    """A team's members may run, edit or review an agent."""

    content_object = models.ForeignKey(Agent, on_delete=models.CASCADE, db_index=False)
