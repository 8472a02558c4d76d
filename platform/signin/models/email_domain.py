"""Mutable: which tenant an e-mail domain belongs to, by the word of who runs the installation."""

from django.db import models

from db.models import TenantModel, new_id
from signin.models.identity_provider import IdentityProvider


class EmailDomain(TenantModel):
    """A domain of e-mail addresses, of one tenant and no other; `docs/adr/0007` says why.

    domain: lower-case ASCII (IDNA A-labels). provider: which of the tenant's answers for it, if any.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    domain = models.CharField(max_length=253, unique=True)
    provider = models.ForeignKey(IdentityProvider, null=True, on_delete=models.SET_NULL, related_name="domains")
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.domain
