"""A tenant's runs, newest first, are read backwards from the unique index that references to runs need."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("agents", "0004_conditions_and_parents")]
    operations = [migrations.RemoveIndex(model_name="run", name="run_newest")]
