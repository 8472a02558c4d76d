"""Django's entry to what takes checkpoints out of the building."""

from django.apps import AppConfig


class CheckpointsConfig(AppConfig):
    name = "checkpoints"
    verbose_name = "Checkpoints"

    def ready(self) -> None:
        from agents.engine.chores import CHORES
        from checkpoints.beside import MESSENGERS

        CHORES.append(MESSENGERS.send_due)
