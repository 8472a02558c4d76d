"""One model a file."""

from signin.models.count import Count
from signin.models.email_domain import EmailDomain
from signin.models.identity_provider import IdentityProvider

__all__ = ["Count", "EmailDomain", "IdentityProvider"]
