"""Errors of the vault."""

from typing import ClassVar


class VaultError(Exception):
    """The secret cannot be kept or read."""

    code: ClassVar[str] = "vault"
    status: ClassVar[int] = 422
    retryable: ClassVar[bool] = False

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail or type(self).__doc__)


class BadSecretName(VaultError):
    """A secret's name is 1 to 63 letters, digits, hyphens and underscores, and begins with a letter."""

    code = "bad_secret_name"


class EmptySecret(VaultError):
    """The secret is empty."""

    code = "empty_secret"
