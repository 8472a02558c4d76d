"""Errors of the ground."""

from typing import ClassVar


class DbError(Exception):
    """The database cannot be used this way."""

    code: ClassVar[str] = "database"
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail or type(self).__doc__)


class OutsideTenantScope(DbError):
    """Tenant data was asked for outside `tenant_scope(...)`."""

    code = "outside_tenant_scope"


class UnlistedTable(DbError):
    """A table has no entry in any app's `tables.py`, so nobody decided who may reach it."""

    code = "unlisted_table"


class ForeignReference(DbError):
    """A row names another tenant's row, or one that is gone."""

    code = "foreign_reference"
