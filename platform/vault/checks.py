"""What `check --database default` says about the keys."""

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Info, Tags, register
from django.db import DEFAULT_DB_ALIAS

from vault.actions import keys
from vault.errors import FieldKeysLost


@register(Tags.database)
def field_keys(app_configs: Any = None, databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Say which keys are lost, and which old ones are still needed."""
    if DEFAULT_DB_ALIAS not in (databases or ()):
        return []
    found: list[CheckMessage] = []
    try:
        keys.refuse_lost()
    except FieldKeysLost as error:
        found.append(Error(str(error), id="vault.E001"))
    for key in keys.outdated():
        hint = "Run `manage.py secret rotate` before you take the key out of FIELD_KEYS."
        found.append(Info(f"Something is still sealed with the old key {key}.", hint=hint, id="vault.I001"))
    return found
