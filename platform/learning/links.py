"""Links for feedback: signed, for one run and nothing else, until a time. Nothing about them is kept.

The text names tenant, run and end, as the signature is worth something for nothing but this (its salt). It opens a page
that shows nothing of the run, so whoever comes by the link can say something and learn nothing.
"""

import base64
import binascii
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from django.conf import settings
from django.core import signing
from django.urls import reverse

from learning.errors import BadLink

#: How long after a run's end its link can be used.
FOR: Final = timedelta(days=30)

_SALT: Final = "learning.feedback"
_ID_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Link:
    """Which run's, and until when."""

    tenant_id: UUID
    run_id: UUID
    until: datetime


def link_of(tenant_id: UUID, run_id: UUID, ended_at: datetime) -> Link:
    """Return the link of a run that ended; the same each time."""
    return Link(tenant_id, run_id, (ended_at + FOR).replace(microsecond=0))


def address(link: Link) -> str:
    """Return the link as it is handed out."""
    return str(settings.BASE_URL).rstrip("/") + reverse("console:feedback", kwargs={"token": token(link)})


def token(link: Link) -> str:
    """Return the signed text."""
    until = int(link.until.timestamp()).to_bytes(8, "big")
    packed = base64.urlsafe_b64encode(link.tenant_id.bytes + link.run_id.bytes + until).rstrip(b"=").decode()
    return signing.Signer(salt=_SALT, sep=".").sign(packed)


def read(text: str, *, now: datetime) -> Link:
    """Return the link; raises `BadLink` alike for one that is forged, for something else or over."""
    try:
        packed = signing.Signer(salt=_SALT, sep=".").unsign(text)
        raw = base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4))
    except (signing.BadSignature, binascii.Error, ValueError) as error:
        raise BadLink from error
    tenant_id, run_id = raw[:_ID_BYTES], raw[_ID_BYTES : 2 * _ID_BYTES]
    until = datetime.fromtimestamp(int.from_bytes(raw[2 * _ID_BYTES :], "big"), UTC)
    if now >= until:
        raise BadLink
    return Link(UUID(bytes=tenant_id), UUID(bytes=run_id), until)
