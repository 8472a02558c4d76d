import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import db.models
import db.scope


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0002_second_factor"),
    ]

    operations = [
        migrations.AddField(
            model_name="apikey",
            name="last_used_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="apikey",
            name="successor",
            field=models.OneToOneField(
                null=True, on_delete=django.db.models.deletion.PROTECT, related_name="predecessor", to="tenants.apikey"
            ),
        ),
        migrations.AddField(
            model_name="membership",
            name="is_active",
            field=models.BooleanField(db_default=True, default=True),
        ),
        migrations.CreateModel(
            name="Invitation",
            fields=[
                ("tenant_id", models.UUIDField(default=db.scope.current_tenant_id, editable=False)),
                ("id", models.UUIDField(default=db.models.new_id, editable=False, primary_key=True, serialize=False)),
                ("email", models.EmailField(max_length=254)),
                (
                    "role",
                    models.CharField(
                        choices=[
                            ("viewer", "Viewer"),
                            ("reviewer", "Reviewer"),
                            ("operator", "Operator"),
                            ("developer", "Developer"),
                            ("compliance", "Compliance"),
                            ("owner", "Owner"),
                        ],
                        max_length=20,
                    ),
                ),
                ("digest", models.BinaryField(unique=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("expires_at", models.DateTimeField()),
                ("accepted_at", models.DateTimeField(null=True)),
                ("revoked_at", models.DateTimeField(null=True)),
                (
                    "invited_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "abstract": False,
                "base_manager_name": "objects",
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("accepted_at", None), ("revoked_at", None)),
                        fields=("tenant_id", "email"),
                        name="one_open_invitation_per_address",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="StaffAccess",
            fields=[
                ("tenant_id", models.UUIDField(default=db.scope.current_tenant_id, editable=False)),
                ("id", models.UUIDField(default=db.models.new_id, editable=False, primary_key=True, serialize=False)),
                ("record_id", models.UUIDField()),
                ("opened_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                ("closed_at", models.DateTimeField(null=True)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "abstract": False,
                "base_manager_name": "objects",
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("closed_at", None)),
                        fields=("tenant_id", "user"),
                        name="one_unclosed_access_each",
                    )
                ],
            },
        ),
    ]
