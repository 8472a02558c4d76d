"""Django's PostgreSQL backend as the product uses it."""
