"""The installation's keys at work: what they seal is noted, what they open is known as a secret."""

from functools import lru_cache
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction

from config.redaction import remember
from vault.crypto import Keyring

#: At most one row, held until the caller's transaction ends: a key's row cannot go while something is being sealed with
#: it (see `vault.actions.keys`). KEY SHARE, so that those who seal do not wait for each other.
_NOTE = "INSERT INTO vault_fieldkey (id, first_used_at) VALUES (%s, now()) ON CONFLICT DO NOTHING"
_HOLD = "SELECT id FROM vault_fieldkey WHERE id = %s FOR KEY SHARE"


class InstalledKeyring(Keyring):
    """The keys of FIELD_KEYS, newest first."""

    def seal(self, secret: str, *, tenant_id: UUID, name: str) -> str:
        """Seal with the newest key, in the transaction in which the caller keeps the result."""
        remember(secret)
        held = False
        with transaction.atomic(), connection.cursor() as cursor:
            while not held:  # between the two the row may have gone
                cursor.execute(_NOTE, [self.ids[0]])
                cursor.execute(_HOLD, [self.ids[0]])
                held = cursor.fetchone() is not None
        return super().seal(secret, tenant_id=tenant_id, name=name)

    def open(self, sealed: str, *, tenant_id: UUID, name: str) -> str:
        """Open what was sealed here; from now on logs do not show it."""
        secret = super().open(sealed, tenant_id=tenant_id, name=name)
        remember(secret)
        return secret


@lru_cache(maxsize=1)
def keyring() -> InstalledKeyring:
    """Return the installation's keys; raises `BadFieldKey`."""
    return InstalledKeyring(settings.FIELD_KEYS)
