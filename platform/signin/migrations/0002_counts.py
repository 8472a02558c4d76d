from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("signin", "0001_identity_providers")]

    operations = [
        migrations.CreateModel(
            name="Count",
            fields=[
                ("key", models.BinaryField(primary_key=True, serialize=False)),
                ("value", models.TextField()),
                ("expires_at", models.DateTimeField(db_index=True)),
            ],
        ),
        migrations.RunSQL("ALTER TABLE signin_count SET UNLOGGED", "ALTER TABLE signin_count SET LOGGED"),
    ]
