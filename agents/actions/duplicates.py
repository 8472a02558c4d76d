"""Identical requests inside an agent's window (`limits.dedupe_s`) are served once: the later ones get the same run.

Only a keyed hash of a request is kept, with the run: it says nothing of the input to who has not the key, and goes
with the run when that ends up failed or cancelled, whose like may be asked for again at once.
"""

import hashlib
import hmac
import json
from typing import Any, Final
from uuid import UUID

from django.conf import settings

from agents.models import Run
from db import trip
from db.scope import current_tenant_id

Json = Any

#: Whoever asks for the same at the same time waits for the first one's commit.
_LOCK: Final = trip.statement("duplicates_lock", "SELECT pg_advisory_xact_lock(hashtextextended(%(key)s, 0))", "key")

#: The newest run of that key in the window, read after the lock: by the index `run_by_dedupe_key`.
_TWIN: Final = trip.statement(
    "duplicates_twin",
    """
SELECT id FROM agents_run
WHERE tenant_id = %(tenant)s::uuid AND dedupe_key = %(key)s AND status NOT IN ('failed', 'cancelled')
    AND created_at > now() - make_interval(secs => %(window)s::integer)
ORDER BY created_at DESC LIMIT 1
""",
    *("tenant", "key", "window"),
)


def key_of(asked: Json) -> str:
    """Return the keyed hash (hex) of all that makes two requests the same. asked: JSON, whatever the order of keys."""
    text = json.dumps([str(current_tenant_id()), asked], sort_keys=True, separators=(",", ":"))
    return hmac.new(b"duplicates " + settings.SECRET_KEY.encode(), text.encode(), hashlib.sha256).hexdigest()


def twin_of(key: str, window_s: int) -> Run | None:
    """Return the run that was started for the same within the window, unless it failed or was cancelled.

    Until the transaction's end nobody else may start one.
    """
    tenant = str(current_tenant_id())
    _, rows = trip.make_here((_LOCK, [f"{tenant}/duplicates/{key}"]), (_TWIN, [tenant, key, str(window_s)]))
    return _run(trip.uuid(rows[0][0])) if rows else None


def _run(run_id: UUID) -> Run:
    return Run.objects.select_related("agent", "version").defer("version__compiled").get(id=run_id)
