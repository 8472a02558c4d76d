"""Grants go with the member or the team that holds them, on whatever kind of object there is."""

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from guardian.models import GroupObjectPermissionBase, UserObjectPermissionBase

from db.models import TenantModel
from tenants.models import Team, User


def take_from_member(user: User) -> dict[str, int]:
    """Take every grant of the user in the tenant in scope; returns how many."""
    tables = _tables(UserObjectPermissionBase)
    return {"grants": sum(table._default_manager.filter(user=user).delete()[0] for table in tables)}


def take_from_team(team: Team) -> dict[str, int]:
    """Take every grant of the team; returns how many."""
    tables = _tables(GroupObjectPermissionBase)
    return {"grants": sum(table._default_manager.filter(group=team.group_id).delete()[0] for table in tables)}


def _tables(kind: type[Any]) -> Iterator[Any]:
    for model in apps.get_models():
        if issubclass(model, kind) and issubclass(model, TenantModel):
            yield model
