"""What every command that drives runs does first."""

from django.core.management.base import CommandError
from django.db import connection, connections

from db import pool, provision
from vault.actions import keys
from vault.errors import VaultError


def refuse_unsafe_start() -> None:
    """Raise CommandError when the database login has too many rights, or secrets could not be read."""
    try:
        unsafe = provision.privileged_runtime(connection)
        if unsafe:
            raise CommandError(" ".join(unsafe))
        keys.refuse_lost()
    except VaultError as error:
        raise CommandError(str(error)) from error
    finally:
        connections.close_all()
        pool.close()
