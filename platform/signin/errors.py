"""Errors of signing in and of what it is set up with."""

from db.errors import Refusal


class SigninError(Refusal):
    """Signing in cannot be set up this way."""

    code = "signin"


class UnknownProvider(SigninError):
    """There is no such identity provider."""

    code = "unknown_identity_provider"
    status = 404


class BadIssuer(SigninError):
    """The issuer is the provider's https:// address, as its discovery document writes it."""

    code = "bad_issuer"


class IssuerFixed(SigninError):
    """A provider keeps its issuer, since accounts are bound to it: remove this provider and add another one."""

    code = "issuer_fixed"
    status = 409


class BadClient(SigninError):
    """The client id is 1 to 191 printable characters; the secret, when there is one, 4 to 1,000."""

    code = "bad_client"


class BadJoiningRole(SigninError):
    """Nobody becomes an owner by signing in: choose another role."""

    code = "bad_joining_role"


class BadDomain(SigninError):
    """A domain is what stands behind the @ of an e-mail address, such as acme.example."""

    code = "bad_domain"


class DomainNotAllowed(SigninError):
    """Who runs this installation allows a tenant its domains: `sso allow SLUG DOMAIN`."""

    code = "domain_not_allowed"


class DomainTaken(SigninError):
    """Another identity provider answers for that domain."""

    code = "domain_taken"
    status = 409


class UnknownDomain(SigninError):
    """That domain is not allowed to this tenant."""

    code = "unknown_domain"
    status = 404
