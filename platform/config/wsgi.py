"""WSGI entry point, for servers that speak no ASGI: live pages then hold a worker each, so prefer ASGI.

Loading it fails when the database login has more rights than a process that serves may have.
"""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

application = get_wsgi_application()

from ops import serving  # noqa: E402

serving.refuse_unsafe_runtime()
