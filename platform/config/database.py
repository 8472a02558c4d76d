"""DATABASE_URL and DATABASE_OWNER_URL as Django's two database aliases."""

from typing import Any
from urllib.parse import parse_qsl, unquote

from django.core.exceptions import ImproperlyConfigured

from config.env import split_url

SCHEMES = ("postgresql", "postgres")
APP_ROLE = "countersign_app"
OWNER_ROLE = "countersign_owner"

Database = dict[str, Any]

#: How long, in seconds, a process may do nothing in an open transaction, or its machine be gone, before the server
#: undoes what it began and frees its locks: a frozen worker must hold up neither its run nor its tenant's month.
_IDLE_S = 30

_RUNTIME = {
    "plan_cache_mode": "force_generic_plan",
    "idle_in_transaction_session_timeout": f"{_IDLE_S}s",
    "tcp_keepalives_idle": f"{_IDLE_S // 2}s",
    "tcp_keepalives_interval": "5s",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": f"{_IDLE_S}s",
}

#: libpq's own parameters, for the other side: how long this process waits for a server whose machine is gone. Half a
#: minute after anything came, or after bytes went out that nobody acknowledges (in ms), the connection breaks.
_VANISHED = {
    "connect_timeout": "5",
    "keepalives_idle": f"{_IDLE_S // 2}",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": f"{_IDLE_S * 1000}",
}


def embedded_databases(*, pool_size: int) -> dict[str, Database]:
    """The embedded server's database, reached as the runtime role and as the owner."""
    common: Database = {"ENGINE": "db.embedded.backend", "NAME": "countersign", "CONN_MAX_AGE": 0}
    return {
        "default": {**common, "USER": APP_ROLE, "OPTIONS": _runtime_options(pool_size)},
        "owner": {**common, "USER": OWNER_ROLE, "OPTIONS": {}},
    }


def external_databases(*, url: str, owner_url: str, pool_size: int) -> dict[str, Database]:
    """An operator's server.

    The login names may be anything: what a connection may do is decided by the role it enters, so a login that is
    not called like its role enters the role as it connects. Without `owner_url` both use the same login.
    """
    default = parse_database_url("DATABASE_URL", url)
    owner = parse_database_url("DATABASE_OWNER_URL" if owner_url else "DATABASE_URL", owner_url or url)
    given = default["OPTIONS"].get("options", "")
    default["OPTIONS"] |= _runtime_options(pool_size)
    default["OPTIONS"]["options"] = f"{given} {default['OPTIONS']['options']}".strip()
    for database, role in ((default, APP_ROLE), (owner, OWNER_ROLE)):
        if database["USER"] != role:
            # At the connection's start, so that RESET ROLE stays in the role.
            given = database["OPTIONS"].get("options", "")
            database["OPTIONS"]["options"] = f"{given} -c role={role}".strip()
    return {"default": default, "owner": owner}


def parse_database_url(name: str, url: str) -> Database:
    """`postgresql://user:password@host:port/dbname?sslmode=require` as an entry of DATABASES.

    The query holds any of libpq's parameters; a socket's folder is given as `?host=/folder`. Those that bound the wait
    for a server that is gone have values of ours unless it names them.
    Raises ImproperlyConfigured, naming the variable `name`, if it is anything else.
    """
    parts = split_url(name, url, SCHEMES)
    options = dict(parse_qsl(parts.query))
    database: Database = {
        "ENGINE": "db.backend",
        "NAME": unquote(parts.path.lstrip("/")) or options.pop("dbname", ""),
        "USER": unquote(parts.username or "") or options.pop("user", ""),
        "PASSWORD": unquote(parts.password or "") or options.pop("password", ""),
        "HOST": options.pop("host", "") or unquote(parts.hostname or ""),
        "PORT": options.pop("port", "") or str(parts.port or ""),
        "CONN_MAX_AGE": 0,
        "OPTIONS": _VANISHED | options,
    }
    for field, meaning in (("NAME", "database"), ("USER", "user")):
        if not database[field]:
            raise ImproperlyConfigured(
                f"{name} names no {meaning}: write it as postgresql://user:password@host:5432/database."
            )
    return database


def _runtime_options(pool_size: int) -> Database:
    return {
        "pool": {"min_size": 0, "max_size": pool_size, "timeout": 15},
        # `db.trip` prepares what runs often. psycopg shall prepare nothing: it drops everybody's on a rollback.
        "prepare_threshold": None,
        "options": " ".join(f"-c {name}={value}" for name, value in _RUNTIME.items()),
    }
