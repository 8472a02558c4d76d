"""When the platform's staff looked into the tenant, until when, and why."""

import json
from typing import Any
from uuid import UUID

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from access import permissions
from api.queries import Page, Query
from api.schema import PAGING, call, component, nullable, page_of
from api.views import View
from audit.models import Payload
from tenants.models import StaffAccess

Json = Any

_TIME = {"type": "string", "format": "date-time"}
_ACCESS = component(
    "StaffAccess",
    {
        "id": {"type": "string", "format": "uuid", "description": "The stream of its records in the journal."},
        "staff": {"type": "string", "description": "E-mail address of the one who could look."},
        "reason": nullable({"type": "string", "description": "Null when it was erased."}),
        "open": {"type": "boolean", "description": "Whether it can be used now."},
        "opened_at": _TIME,
        "expires_at": _TIME,
        "closed_at": nullable(_TIME),
    },
)
_PAGE = page_of("StaffAccessPage", _ACCESS)


class StaffAccesses(View):
    """The times the tenant was opened to the platform's staff."""

    @call("listStaffAccess", "List staff's access, newest first", answer=_PAGE, parameters=PAGING, refusals=(400, 422))
    def get(self, request: Request) -> Response:
        """List each time the platform's staff could look into the tenant, newest first.

        What they looked at stands in the journal: one `staff.looked` for each request.
        """
        if not permissions.can(self.principal, "audit:read"):
            self.require("admin")
        page = Page(Query(self.plain_request, ("limit", "cursor")), name=f"staff-access.{self.principal.tenant_id}")
        with self.scope():
            return Response(page.of(StaffAccess.objects.select_related("user"), _listed))


def _listed(page: list[StaffAccess]) -> list[Json]:
    payloads = Payload.objects.filter(record_id__in=[access.record_id for access in page])
    reasons: dict[UUID, str] = {each.record_id: json.loads(each.value)["reason"] for each in payloads}
    now = timezone.now()
    return [
        {
            "id": str(access.id),
            "staff": access.user.email,
            "reason": reasons.get(access.record_id),
            "open": access.closed_at is None and access.expires_at > now,
            "opened_at": access.opened_at.isoformat(),
            "expires_at": access.expires_at.isoformat(),
            "closed_at": access.closed_at.isoformat() if access.closed_at else None,
        }
        for access in page
    ]
