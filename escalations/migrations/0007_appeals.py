"""What became of an appeal that was upheld."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("escalations", "0006_order_of_the_inbox")]
    operations = [migrations.AddField("escalation", "reversal_id", models.UUIDField(null=True))]
