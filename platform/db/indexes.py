"""Indexes made while everybody works: patient, and made anew where an earlier attempt broke off."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db.backends.base.base import BaseDatabaseWrapper


@contextmanager
def patient(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Wait for whoever is in the way, however long: concurrent builds stand in nobody's."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('lock_timeout')")
        (before,) = cursor.fetchone()
        cursor.execute("SET lock_timeout = 0")
        try:
            yield
        finally:
            cursor.execute("SELECT set_config('lock_timeout', %s, false)", [before])


class BuildIndex(AddIndexConcurrently):
    """Adds an index concurrently; migrations use this one.

    What broke off left an index behind that nobody uses and everybody keeps up to date, in the way of the next attempt.
    """

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Make the index, whatever is left of an earlier attempt."""
        self._ensure_not_in_transaction(schema_editor)
        model = to_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        with patient(schema_editor.connection):
            schema_editor.remove_index(model, self.index, concurrently=True)  # if there is one
            schema_editor.add_index(model, self.index, concurrently=True)
