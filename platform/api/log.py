"""A tenant's log as the files of C2SP tlog-tiles, read-only, to those who may read its journal.

`/log/<tenant id>/checkpoint`, `/log/<tenant id>/tile/…`; a log that was begun anew has its generation behind the id.
A log's origin is where its files are, as the host was called when it began. API keys open it.
"""

from uuid import UUID

from django.http import HttpResponse
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from api.errors import NotFound
from api.views import View
from audit import proving, search
from audit.exports.errors import NothingSealed

#: A log below `/log/`.
LOG = r"(?P<tenant_id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:/(?P<generation>[1-9][0-9]{0,3}))?"


class AnyType(BaseRenderer):
    """Files have their own type, whatever is accepted."""

    media_type = "*/*"


class LogView(View):
    """One file of a log."""

    renderer_classes = (AnyType,)
    schema = None

    def found(self, tenant_id: str) -> UUID:
        """Return the tenant's id; raises `NotFound` for another tenant's, and `AccessDenied`."""
        if UUID(tenant_id) != self.principal.tenant_id:
            raise NotFound
        self.require("audit:read")
        return self.principal.tenant_id


class Checkpoint(LogView):
    """The log's head."""

    def get(self, request: Request, tenant_id: str, generation: str = "1") -> HttpResponse:
        """Return the signed note, with what witnesses signed of it so far."""
        found = self.found(tenant_id)
        try:
            with self.scope():
                log, signed = proving.head_of(found, int(generation))
                head = proving.cosigned(log, signed)
        except NothingSealed as error:
            raise NotFound from error
        answer = HttpResponse(head, content_type="text/plain; charset=utf-8")
        answer["Cache-Control"] = "no-store"
        return answer


class Tile(LogView):
    """A tile, or a bundle of entries."""

    def get(self, request: Request, tenant_id: str, path: str, generation: str = "1") -> HttpResponse:
        """Return its bytes. Reading entries leaves a record; hashes say nothing of anybody."""
        found = self.found(tenant_id)
        try:
            with self.scope():
                data = proving.file_of(found, int(generation), path)
                if data is not None and path.startswith("tile/entries/"):
                    search.leave_record(actor=self.principal.actor, facts={"file": path})
        except NothingSealed as error:
            raise NotFound from error
        if data is None:
            raise NotFound
        return HttpResponse(data, content_type="application/octet-stream")
