"""Django's entry to the vault."""

from django.apps import AppConfig


class VaultConfig(AppConfig):
    name = "vault"
    verbose_name = "Vault"

    def ready(self) -> None:
        from vault import checks, hashing  # noqa: F401 - the first registers itself
        from vault.holders import HOLDERS

        HOLDERS.append(hashing.HOLDER)
