"""Errors of the vault."""

from db.errors import Refusal


class VaultError(Refusal):
    """The secret cannot be kept or read."""

    code = "vault"


class BadSecretName(VaultError):
    """A secret's name is 1 to 63 letters, digits, hyphens and underscores, and begins with a letter."""

    code = "bad_secret_name"


class EmptySecret(VaultError):
    """The secret is empty."""

    code = "empty_secret"


class SecretTooShort(VaultError):
    """A secret has at least 4 characters: shorter ones cannot be told from ordinary text."""

    code = "secret_too_short"


class SecretTooLong(VaultError):
    """A secret has at most 65,536 characters."""

    code = "secret_too_long"


class SecretInUse(VaultError):
    """Something still uses the secret; let it use another, or none, first."""

    code = "secret_in_use"
    status = 409


class FieldKeysLost(VaultError):
    """FIELD_KEYS lacks a key that something in this database is sealed with."""

    code = "field_keys_lost"
    status = 500


class FieldKeyPresent(VaultError):
    """The key is in FIELD_KEYS, so nothing is lost with it; `secret rotate` makes it superfluous."""

    code = "field_key_present"
    status = 409


class UnknownFieldKey(VaultError, LookupError):
    """Nothing here was ever sealed with such a key."""

    code = "unknown_field_key"
    status = 404


class UnknownSecret(VaultError, LookupError):
    """There is no such secret."""

    code = "unknown_secret"
    status = 404
