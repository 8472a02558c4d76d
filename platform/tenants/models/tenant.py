"""Mutable: an organisation."""

from django.contrib.postgres.fields import ArrayField
from django.core.validators import RegexValidator
from django.db import models

from db.models import new_id

#: What may stand in a URL and in a team's, agent's or queue's name.
SLUG = RegexValidator(
    r"^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z",
    "Use 1 to 63 lower-case letters, digits and hyphens; begin and end with a letter or digit.",
)

NAME_LENGTH = 200


class Tenant(models.Model):
    """An organisation. Its slug names it in URLs and commands; its id is for ever.

    require_mfa: its pages open to members with a second factor only. trust_provider_mfa: a sign-in through the tenant's
    own identity provider counts as one. undo_s: seconds for which an answer can be taken back where its queue does not
    say; 0 for none. webhook_hosts: the only hosts that webhooks and callbacks may tell; null for any.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    slug = models.CharField(max_length=63, unique=True, validators=[SLUG])
    name = models.CharField(max_length=NAME_LENGTH)
    created_at = models.DateTimeField(auto_now_add=True)
    require_mfa = models.BooleanField(default=False, db_default=False)
    trust_provider_mfa = models.BooleanField(default=False, db_default=False)
    undo_s = models.IntegerField(db_default=0, default=0)
    webhook_hosts = ArrayField(models.CharField(max_length=253), null=True)

    def __str__(self) -> str:
        return self.slug
