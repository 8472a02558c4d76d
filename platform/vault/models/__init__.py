"""One model a file."""

from vault.models.secret import Secret

__all__ = ["Secret"]
