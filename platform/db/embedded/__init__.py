"""The PostgreSQL server that comes along: started on a private socket, out of DATA_DIR, at the first connection.

Who stops it: every process that reaches the server counts as a user of it, by a shared lock the kernel drops with the
process. `up`, `demo` and the tests call `stop_if_unused` when they end, so the last of them to leave stops the server;
a bare `migrate` or `qcluster` leaves it running for the others. It listens on no network address.
"""

from db.embedded.errors import EmbeddedServerError
from db.embedded.launcher import Server, ensure_running, is_alive, stop, stop_if_unused

__all__ = ["EmbeddedServerError", "Server", "ensure_running", "is_alive", "stop", "stop_if_unused"]
