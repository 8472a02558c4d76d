from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Total",
            fields=[
                ("series", models.CharField(max_length=200, primary_key=True, serialize=False)),
                ("value", models.BigIntegerField()),
            ],
        ),
        migrations.RunSQL("ALTER TABLE metrics_total SET UNLOGGED", "ALTER TABLE metrics_total SET LOGGED"),
    ]
