"""Django's entry to signing in."""

from importlib import import_module

from django.apps import AppConfig


class SigninConfig(AppConfig):
    name = "signin"
    verbose_name = "Sign-in"

    def ready(self) -> None:
        from signin import sealing, second_factor
        from signin.oidc import linking
        from tenants.leaving import LEAVING
        from vault.holders import HOLDERS

        for receiving in ("signin.records", "signin.sessions"):
            import_module(receiving)
        LEAVING.append(linking.take_from_member)
        HOLDERS.extend((second_factor.HOLDER, sealing.HOLDER))
