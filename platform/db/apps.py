"""Django's entry to the ground."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class DbConfig(AppConfig):
    name = "db"
    verbose_name = "Database ground"

    def ready(self) -> None:
        from db import pool, references, tables

        pool.forget_inherited_pools_after_fork()
        post_migrate.connect(references.reconcile_after_migrate, sender=self)
        post_migrate.connect(tables.reconcile_after_migrate, sender=self)
