"""Django's entry to signing in."""

from importlib import import_module

from django.apps import AppConfig


class SigninConfig(AppConfig):
    name = "signin"
    verbose_name = "Sign-in"

    def ready(self) -> None:
        import_module("signin.records")
