"""An export's file as an answer over HTTP, whole or a range of it; the same to programs and to browsers."""

import asyncio
import re
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final
from uuid import UUID

from django.db import connection
from django.http import HttpRequest, StreamingHttpResponse

from db.scope import tenant_scope
from exports import parts
from exports.actions import exports
from exports.errors import RangeNotThere
from tenants.principal import Principal

#: Format → media type and the ending of the file's name.
MEDIA: Final = {
    "bundle": ("application/zip", "zip"),
    "csv": ("text/csv; charset=utf-8", "csv"),
    "jsonl": ("application/x-ndjson", "jsonl"),
    "ocsf": ("application/x-ndjson", "ocsf.jsonl"),
}

#: One range of bytes (RFC 9110, section 14.1.2). Anything else that a client may write is answered with the whole.
_RANGE: Final = re.compile(r"bytes=(?:([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18}))")

#: Threads of a process that read for downloads; whoever downloads holds none of them while it takes what was read.
_READERS: Final = ThreadPoolExecutor(4, thread_name_prefix="download")


def name_of(export_id: UUID, form: str) -> str:
    """Return what the file is called."""
    return f"audit-{export_id}.{MEDIA[form][1]}"


def answer(request: HttpRequest, export_id: UUID, *, acting_as: Principal) -> StreamingHttpResponse:
    """Return the file, or the range that the request asks for; to be called in the tenant's scope.

    Whatever but HEAD leaves a record. Raises `UnknownExport`, `NotReady`, `Gone`, `RangeNotThere`, `AccessDenied`.
    """
    export = exports.ready(export_id)
    tag = f'"{export.id}"'
    part = _range(request, export.size, tag)
    first, end = part or (0, export.size)
    if request.method != "HEAD":
        exports.download(export.id, first=first, end=end, acting_as=acting_as)
    headers = {
        "Accept-Ranges": "bytes",
        "Cache-Control": "no-store",
        "Content-Disposition": f'attachment; filename="{name_of(export.id, export.format)}"',
        "Content-Length": str(end - first),
        "ETag": tag,
    }
    if part:
        headers["Content-Range"] = f"bytes {first}-{end - 1}/{export.size}"
    return StreamingHttpResponse(
        _bytes(export.tenant_id, export.id, first, end),
        status=206 if part else 200,
        content_type=MEDIA[export.format][0],
        headers=headers,
    )


def _range(request: HttpRequest, size: int, tag: str) -> tuple[int, int] | None:
    """Return the bytes asked for, to before the second number; None for all of them. Raises `RangeNotThere`."""
    given = _RANGE.fullmatch(request.headers.get("Range", ""))
    if given is None or request.headers.get("If-Range", tag) != tag:
        return None
    first, last, suffix = given.groups()
    if suffix is not None:
        begin, end = max(0, size - int(suffix)), size
    else:
        begin, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < begin:
            return None
    if begin >= size or begin >= end:
        raise RangeNotThere
    return begin, end


async def _bytes(tenant_id: UUID, export_id: UUID, at: int, end: int) -> AsyncIterator[bytes]:
    """Yield the file's bytes, a part at a time: whoever takes them slowly holds no thread and no connection."""
    loop = asyncio.get_running_loop()
    while at < end:
        data = await loop.run_in_executor(_READERS, _read, tenant_id, export_id, at)
        if not data:
            raise ConnectionAbortedError("The export was let go while it was downloaded.")
        yield data[: end - at]
        at += len(data)


def _read(tenant_id: UUID, export_id: UUID, at: int) -> bytes:
    try:
        with tenant_scope(tenant_id):
            return parts.at(export_id, at)
    finally:
        connection.close()
