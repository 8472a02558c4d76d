"""Budgets of agents and users, by day too, beside the tenant's month; soft limits; what people add to a window."""

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("quotas", "0002_model_calls")]

    operations = [
        migrations.AddField("budget", "name", models.CharField(max_length=100, null=True)),
        migrations.AddField("budget", "of_id", models.UUIDField(null=True)),
        migrations.AddField("budget", "period", models.CharField(db_default="month", max_length=5)),
        migrations.AddField("budget", "soft", models.DecimalField(decimal_places=3, max_digits=4, null=True)),
        migrations.AddField("window", "extra_tokens", models.BigIntegerField(db_default=0)),
        migrations.AddField("window", "extra_usd_nano", models.BigIntegerField(db_default=0)),
        migrations.AddField("window", "soft_told", models.BooleanField(db_default=False)),
        migrations.AddConstraint(
            "budget",
            models.UniqueConstraint(
                condition=Q(("of", "tenant")), fields=("tenant_id", "period"), name="one_budget_of_a_tenant"
            ),
        ),
        migrations.AddConstraint(
            "budget",
            models.UniqueConstraint(
                condition=Q(("of_id__isnull", False)),
                fields=("tenant_id", "of", "of_id", "period"),
                name="one_budget_of_each",
            ),
        ),
        migrations.AddConstraint(
            "budget",
            models.UniqueConstraint(
                condition=Q(("name__isnull", False)), fields=("tenant_id", "name"), name="one_budget_of_a_name"
            ),
        ),
        # The last release makes one row a tenant and asks for no conflict by name: the first one above holds it to that.
        migrations.RemoveConstraint("budget", "one_budget_each"),
    ]
