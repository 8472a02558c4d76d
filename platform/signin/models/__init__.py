"""One model a file."""

from signin.models.email_domain import EmailDomain
from signin.models.identity_provider import IdentityProvider

__all__ = ["EmailDomain", "IdentityProvider"]
