"""What can go wrong with the embedded server; each message says how to mend it."""

from django.core.exceptions import ImproperlyConfigured


class EmbeddedServerError(ImproperlyConfigured):
    """The embedded PostgreSQL server can't be used."""
