"""Who may: by role, by the key's scopes, and by object grants (django-guardian behind this package)."""
