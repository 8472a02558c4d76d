"""What every model stands on: opaque time-ordered ids, and managers that know the tenant scope."""

from __future__ import annotations

import secrets
import time
from typing import Any, ClassVar, Self, TypeVar
from uuid import UUID

from django.db import models

from db.errors import OutsideTenantScope
from db.scope import current_tenant_id


def new_id() -> UUID:
    """Return a UUIDv7 (RFC 9562, section 5.7): 48 bits of milliseconds, 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    random = secrets.randbits(74)
    return UUID(int=(milliseconds << 80) | (7 << 76) | ((random >> 62) << 64) | (2 << 62) | (random & ((1 << 62) - 1)))


M = TypeVar("M", bound=models.Model)


class TenantManager(models.Manager[M]):
    """Only the rows of the tenant in scope; raises `OutsideTenantScope` outside one."""

    def get_queryset(self) -> models.QuerySet[M]:
        return super().get_queryset().filter(tenant_id=current_tenant_id())


class TenantModel(models.Model):
    """A row that belongs to one tenant. `tenant_id` is taken from the scope it is made in."""

    tenant_id = models.UUIDField(default=current_tenant_id, editable=False)

    objects: ClassVar[TenantManager[Self]] = TenantManager()

    class Meta:
        abstract = True
        base_manager_name = "objects"

    def save(self, *args: Any, **kwargs: Any) -> None:
        self._check_scope()
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        self._check_scope()
        return super().delete(*args, **kwargs)

    def _check_scope(self) -> None:
        if self.tenant_id != current_tenant_id():
            raise OutsideTenantScope(f"This {self._meta.verbose_name} belongs to another tenant than the one in scope.")
