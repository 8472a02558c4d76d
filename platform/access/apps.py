"""Django's entry to access."""

from django.apps import AppConfig


class AccessConfig(AppConfig):
    name = "access"
    verbose_name = "Access"

    def ready(self) -> None:
        from access import leaving
        from tenants.leaving import DISSOLVING, LEAVING

        LEAVING.append(leaving.take_from_member)
        DISSOLVING.append(leaving.take_from_team)
