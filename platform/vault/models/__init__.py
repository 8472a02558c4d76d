"""One model a file."""

from vault.models.field_key import FieldKey
from vault.models.hash_key import HashKey
from vault.models.secret import Secret

__all__ = ["FieldKey", "HashKey", "Secret"]
