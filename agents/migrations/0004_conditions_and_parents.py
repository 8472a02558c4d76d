"""Conditions on grants of tools; runs within runs; the index that the check of a grant looks into.

The unique index over object, holder and permission takes the place of the one over the object alone.
"""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

_GRANTS = {
    "agentteamgrant": ("group", "agents.agent"),
    "agentusergrant": ("user", "agents.agent"),
    "toolteamgrant": ("group", "agents.tool"),
    "toolusergrant": ("user", "agents.tool"),
}


class Migration(migrations.Migration):
    dependencies = [
        ("agents", "0003_room_for_updates"),
        ("auth", "0012_alter_user_first_name_max_length"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        *(
            migrations.AlterUniqueTogether(name=name, unique_together={("content_object", holder, "permission")})
            for name, (holder, _) in _GRANTS.items()
        ),
        *(
            migrations.AlterField(
                model_name=name,
                name="content_object",
                field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, to=to),
            )
            for name, (_, to) in _GRANTS.items()
        ),
        migrations.AddField(model_name="toolteamgrant", name="condition", field=models.TextField(null=True)),
        migrations.AddField(model_name="toolusergrant", name="condition", field=models.TextField(null=True)),
        migrations.AddField(
            model_name="run",
            name="parent",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="children",
                to="agents.run",
            ),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(condition=models.Q(("parent__isnull", False)), fields=["parent"], name="run_by_parent"),
        ),
    ]
