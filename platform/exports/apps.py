"""Django's entry to exports."""

from django.apps import AppConfig


class ExportsConfig(AppConfig):
    name = "exports"
    verbose_name = "Exports"

    def ready(self) -> None:
        from agents.engine.chores import CHORES
        from audit import indexing
        from exports import making

        CHORES.append(making.MAKERS.see_to)
        CHORES.append(indexing.Maker().see_to)
