"""Who may reach the tables of sign-in, allauth's own included. They are of people, not of a tenant."""

from db.tables import ALL, Table

TABLES = tuple(
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
)
