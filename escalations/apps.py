"""Django's entry to escalations."""

from django.apps import AppConfig


class EscalationsConfig(AppConfig):
    name = "escalations"
    verbose_name = "Escalations"

    def ready(self) -> None:
        from agents.engine import signals
        from escalations import receivers

        signals.decision_requested.connect(receivers.open_escalation)
        signals.decision_expired.connect(receivers.close_expired)
        signals.questions_moot.connect(receivers.withdraw_open)
