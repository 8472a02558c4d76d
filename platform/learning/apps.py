"""Django's entry to learning."""

from django.apps import AppConfig


class LearningConfig(AppConfig):
    name = "learning"
    verbose_name = "Learning"

    def ready(self) -> None:
        from escalations.actions import answers
        from learning.actions import cases

        answers.REOPENED.append(cases.drop_of)
