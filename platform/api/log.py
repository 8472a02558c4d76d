"""A tenant's log as the files of C2SP tlog-tiles, read-only, to those who may read its journal.

`/log/<tenant id>/checkpoint`, `/log/<tenant id>/tile/…`; a log that was begun anew has its generation behind the id.
A log's origin is where its files are, as the host was called when it began. API keys open it; the platform's own log,
whose id is all zeros, is opened by nothing but the session of one of its staff.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from uuid import UUID

from django.db import connection
from django.http import HttpResponse
from rest_framework.authentication import BaseAuthentication
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from api.authentication import BearerKey
from api.errors import NotFound
from api.views import View
from audit import proving, search
from audit.exports.errors import NothingSealed
from db.scope import PLATFORM, tenant_scope
from tenants.models import User

#: A tile of hashes stays as it is, also one that is not full: its path says its width. By whoever asked alone.
FOR_EVER: Final = "private, max-age=31536000, immutable"

#: A log below `/log/`.
LOG = r"(?P<tenant_id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:/(?P<generation>[1-9][0-9]{0,3}))?"


class AnyType(BaseRenderer):
    """Files have their own type, whatever is accepted."""

    media_type = "*/*"


class StaffSession(BaseAuthentication):
    """Signs in whoever shows a browser's session, and no key."""

    def authenticate(self, request: Request) -> tuple[User, None] | None:
        """Return who is signed in; None leaves it to keys."""
        user = request._request.user
        return (user, None) if isinstance(user, User) and "Authorization" not in request.headers else None


class LogView(View):
    """One file of a log."""

    renderer_classes = (AnyType,)
    schema = None

    def get_authenticators(self) -> list[BaseAuthentication]:
        """Take sessions for the platform's log, and keys for all."""
        keys: list[BaseAuthentication] = [BearerKey()]
        return [StaffSession(), *keys] if self.kwargs.get("tenant_id") == str(PLATFORM) else keys

    @contextmanager
    def log(self, tenant_id: str) -> Iterator[tuple[UUID, str]]:
        """Open the log's scope; gives its tenant's id, and who reads.

        Raises `NotFound` for another tenant's and for one that has nothing sealed, and `AccessDenied`.
        """
        asked, user = UUID(tenant_id), self.request.user
        if isinstance(user, User):
            if not (user.is_active and user.is_staff and user.has_second_factor()):
                raise NotFound
            reader = f"user:{user.id}"
        else:
            if asked != self.principal.tenant_id:
                raise NotFound
            self.require("audit:read")
            reader = self.principal.actor
        try:
            with tenant_scope(asked):
                yield asked, reader
        except NothingSealed as error:
            raise NotFound from error
        finally:
            connection.close()


class Checkpoint(LogView):
    """The log's head."""

    def get(self, request: Request, tenant_id: str, generation: str = "1") -> HttpResponse:
        """Return the signed note, with what witnesses signed of it so far."""
        with self.log(tenant_id) as (asked, _):
            log, signed = proving.head_of(asked, int(generation))
            head = proving.cosigned(log, signed)
        answer = HttpResponse(head, content_type="text/plain; charset=utf-8")
        answer["Cache-Control"] = "no-store"
        return answer


class Tile(LogView):
    """A tile, or a bundle of entries."""

    def get(self, request: Request, tenant_id: str, path: str, generation: str = "1") -> HttpResponse:
        """Return its bytes, which never change. Reading entries leaves a record, each time; hashes tell of nobody."""
        entries = path.startswith("tile/entries/")
        with self.log(tenant_id) as (asked, reader):
            data = proving.file_of(asked, int(generation), path)
            if data is not None and entries:
                search.leave_record(actor=reader, facts={"file": path})
        if data is None:
            raise NotFound
        answer = HttpResponse(data, content_type="application/octet-stream")
        answer["Cache-Control"] = "no-store" if entries else FOR_EVER
        return answer
