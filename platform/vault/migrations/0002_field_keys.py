"""Note which keys something is sealed with, so that nobody starts without one of them unawares."""

from django.db import migrations, models

#: What is there already names its key: `v1.KEY.DATA`.
NOTE_USED = """
INSERT INTO vault_fieldkey (id, first_used_at)
SELECT DISTINCT split_part(sealed, '.', 2), now() FROM vault_secret WHERE sealed LIKE 'v1.%' ON CONFLICT DO NOTHING
"""


class Migration(migrations.Migration):
    dependencies = [("vault", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="FieldKey",
            fields=[
                ("id", models.CharField(max_length=8, primary_key=True, serialize=False)),
                ("first_used_at", models.DateTimeField(auto_now_add=True)),
            ],
        ),
        migrations.RunSQL(NOTE_USED, migrations.RunSQL.noop),
    ]
