"""The backend that starts the embedded server at the first connection."""

from typing import Any

from django.conf import settings
from psycopg import OperationalError

from db.backend import base
from db.embedded import ensure_running


class DatabaseWrapper(base.DatabaseWrapper):
    """PostgreSQL on the private socket of DATA_DIR."""

    def get_connection_params(self) -> dict[str, Any]:
        """Django's parameters, with the place of a server that runs."""
        server = ensure_running(settings.DATA_DIR)
        return {**super().get_connection_params(), "host": server.host, "port": server.port}

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Connect; when the server has gone since it was last seen, start it and try once more."""
        try:
            return super().get_new_connection(conn_params)
        except OperationalError:
            ensure_running(settings.DATA_DIR, check=True)
            return super().get_new_connection(conn_params)
