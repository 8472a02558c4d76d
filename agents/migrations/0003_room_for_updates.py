"""A run's row is written at every step: room on its page keeps most of those writes out of the indexes."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("agents", "0002_references")]
    operations = [
        migrations.RunSQL("ALTER TABLE agents_run SET (fillfactor = 50)", "ALTER TABLE agents_run RESET (fillfactor)"),
    ]
