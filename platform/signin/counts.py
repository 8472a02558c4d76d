"""Where attempts are counted, and codes that were used are kept: a table, as one of Django's caches.

allauth counts in the default cache, and so do `guesses` and `forms`. A cache forgets what it likes when it is full, so
that whoever fills it has a new budget. This one forgets an entry when its time is over and not before, and all web
processes share it. Unlogged: counting waits for no disk; after a crash of the database server, and on a standby that
takes over, it begins anew. Keys are kept as digests, as they name people's addresses.
"""

import hashlib
import json
from datetime import timedelta
from typing import Any, Final

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache
from django.db import connection

_GET: Final = "SELECT value FROM signin_count WHERE key = %(key)s AND expires_at > statement_timestamp()"

# Each entry that comes takes away some whose time is over, so that they don't pile up; those another transaction is
# busy with are skipped, so that nobody waits to sweep.
_PUT: Final = """\
WITH swept AS (
    DELETE FROM signin_count WHERE key IN (
        SELECT key FROM signin_count WHERE expires_at <= statement_timestamp() AND key <> %(key)s
        ORDER BY expires_at LIMIT 10 FOR UPDATE SKIP LOCKED))
INSERT INTO signin_count AS present (key, value, expires_at)
VALUES (%(key)s, %(value)s, statement_timestamp() + %(lasts)s)
ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at"""

# Atomic: of two at the same moment one is told that it was first.
_ADD: Final = f"{_PUT} WHERE present.expires_at <= statement_timestamp()"

_TOUCH: Final = """\
UPDATE signin_count SET expires_at = statement_timestamp() + %(lasts)s
WHERE key = %(key)s AND expires_at > statement_timestamp()"""

_DELETE: Final = "DELETE FROM signin_count WHERE key = %(key)s"


class Counts(BaseCache):
    """The cache. Values are what JSON holds; a time-out of None is a year."""

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        super().__init__(params)

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        with connection.cursor() as cursor:
            cursor.execute(_GET, {"key": self._digest(key, version)})
            row = cursor.fetchone()
        return default if row is None else json.loads(row[0])

    def set(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        self._put(_PUT, key, value, timeout, version)

    def add(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        return self._put(_ADD, key, value, timeout, version)

    def touch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        return self._changed(_TOUCH, key=self._digest(key, version), lasts=self._lasts(timeout))

    def delete(self, key: Any, version: int | None = None) -> bool:
        return self._changed(_DELETE, key=self._digest(key, version))

    def clear(self) -> None:
        self._changed("DELETE FROM signin_count")

    def _put(self, statement: str, key: Any, value: Any, timeout: Any, version: int | None) -> bool:
        written = json.dumps(value)
        return self._changed(statement, key=self._digest(key, version), value=written, lasts=self._lasts(timeout))

    def _changed(self, statement: str, **parameters: Any) -> bool:
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return bool(cursor.rowcount)

    def _digest(self, key: Any, version: int | None) -> bytes:
        return hashlib.sha256(self.make_and_validate_key(key, version=version).encode()).digest()

    def _lasts(self, timeout: Any) -> timedelta:
        seconds = self.default_timeout if timeout is DEFAULT_TIMEOUT else timeout
        return timedelta(days=365) if seconds is None else timedelta(seconds=max(0, float(seconds)))
