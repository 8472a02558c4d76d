"""Who may reach the tables of sign-in. Allauth's own are of people; providers and domains are a tenant's.

Counts are the installation's: whoever guesses is of no tenant."""

from db.tables import ALL, Table

TABLES = (
    *(
        Table(name, ALL, tenant=None)
        for name in (
            "account_emailaddress",
            "account_emailconfirmation",
            "mfa_authenticator",
            "usersessions_usersession",
            "socialaccount_socialaccount",
            "socialaccount_socialapp",
            "socialaccount_socialtoken",
        )
    ),
    Table("signin_count", ALL, tenant=None),
    # Whoever signs in is of no tenant yet: the look-up by a domain goes across tenants.
    Table(
        "signin_identityprovider",
        ALL,
        dispatch={"SELECT": ("id", "tenant_id", "slug", "name", "enforced", "enabled")},
    ),
    Table("signin_emaildomain", ALL, dispatch={"SELECT": ("tenant_id", "domain", "provider_id")}),
)
