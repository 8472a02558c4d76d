"""Django's entry to signing in."""

from importlib import import_module

from django.apps import AppConfig


class SigninConfig(AppConfig):
    name = "signin"
    verbose_name = "Sign-in"

    def ready(self) -> None:
        from signin.oidc import linking
        from tenants.leaving import LEAVING

        import_module("signin.records")
        LEAVING.append(linking.take_from_member)
