"""Django's entry to webhooks."""

from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    name = "webhooks"
    verbose_name = "Webhooks"

    def ready(self) -> None:
        from agents.engine import signals
        from agents.engine.chores import CHORES
        from vault.actions import secrets
        from vault.holders import HOLDERS
        from webhooks import calling_back, secrets_of, sending
        from webhooks.actions import endpoints

        signals.asked_again.connect(calling_back.put_down)
        CHORES.append(sending.SENDERS.send_due)
        HOLDERS.extend(secrets_of.HOLDERS)
        secrets.USES.append(endpoints.uses_of_secret)
