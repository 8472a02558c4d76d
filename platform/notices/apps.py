"""Django's entry to notices."""

from django.apps import AppConfig


class NoticesConfig(AppConfig):
    name = "notices"
    verbose_name = "Notices"

    def ready(self) -> None:
        from agents.engine.chores import CHORES
        from notices import addressing, gathering, sending

        CHORES.extend((addressing.address_all, gathering.gather_all, sending.OFFICE.send_due))
