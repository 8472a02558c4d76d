"""Django's entry to escalations."""

from django.apps import AppConfig


class EscalationsConfig(AppConfig):
    name = "escalations"
    verbose_name = "Escalations"

    def ready(self) -> None:
        from agents.engine import signals
        from agents.engine.chores import CHORES
        from escalations import due, leaving, receivers
        from tenants.leaving import DISSOLVING, LEAVING

        signals.decision_requested.connect(receivers.open_escalation)
        signals.decision_expired.connect(receivers.close_expired)
        signals.questions_moot.connect(receivers.withdraw_open)
        CHORES.append(due.see_to_all)
        LEAVING.append(leaving.take_from_member)
        DISSOLVING.append(leaving.check_team)
