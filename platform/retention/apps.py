"""Django's entry to retention."""

from django.apps import AppConfig


class RetentionConfig(AppConfig):
    name = "retention"
    verbose_name = "Retention"

    def ready(self) -> None:
        from agents.engine.chores import CHORES
        from retention import erasing, expiring, subject_of
        from vault.holders import HOLDERS

        CHORES.extend((erasing.see_to_all, expiring.see_to_all))
        HOLDERS.append(subject_of.HOLDER)
