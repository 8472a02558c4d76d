"""Django's entry to agents."""

from django.apps import AppConfig


class AgentsConfig(AppConfig):
    name = "agents"
    verbose_name = "Agents"

    def ready(self) -> None:
        from django_q.signals import post_spawn

        from agents.actions import uses
        from agents.engine import django_q
        from vault.actions import secrets

        secrets.USES.append(uses.of_secret)
        post_spawn.connect(django_q.on_spawn, dispatch_uid="countersign-drivers")
