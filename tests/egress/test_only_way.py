"""Nobody goes past the guarded client: whoever imports what can reach the network stands here with the reason."""

import ast
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

ROOT = Path(settings.BASE_DIR)

#: Modules by which a process can call others on its own.
CLIENTS = frozenset(
    {
        "aiohttp",
        "anthropic",
        "asyncio.open_connection",
        "django.core.mail",
        "ftplib",
        "http.client",
        "httpcore",
        "httpcore2",
        "httpx",
        "httpx2",
        "imaplib",
        "mcp",
        "nntplib",
        "poplib",
        "psycopg",
        "psycopg2",
        "pycurl",
        "redis",
        "requests",
        "smtplib",
        "socket",
        "ssl",
        "telnetlib",
        "urllib.request",
        "urllib3",
        "websocket",
        "websockets",
        "xmlrpc.client",
    }
)

GUARD = "the guarded client itself"
SUPPLIER = "the model's supplier, whom the installation names (ANTHROPIC_BASE_URL)"
OWN = "the installation's own processes on this machine"
DATABASE = "the installation's own database (DATABASE_URL)"
MAIL = "the installation's own mail server (EMAIL_URL)"
ADAPTED = "allauth's client, whose only transport is the guarded client"
MCP = "the MCP SDK, whose only transport is the guarded client"
SOURCE = "a tenant's database, at addresses the guarded client has resolved and checked"
LISTENS = "listens, and calls nobody"
CACHE = "the installation's own cache (REDIS_URL)"

MAY: dict[str, dict[str, str]] = {
    "platform/egress/client.py": dict.fromkeys(("socket", "ssl", "httpcore2"), GUARD),
    "platform/egress/streams.py": dict.fromkeys(("socket", "ssl", "httpcore2"), GUARD),
    "agents/providers/claude.py": dict.fromkeys(("anthropic", "httpx2", "urllib.request"), SUPPLIER),
    "agents/providers/shards.py": dict.fromkeys(("socket", "httpx2"), SUPPLIER),
    "agents/tools/kept.py": {"psycopg": DATABASE},
    "agents/tools/mcp/links.py": dict.fromkeys(("mcp", "httpx2"), MCP),
    "agents/tools/mcp/stdio.py": {"mcp": "speaks over pipes to a child process"},
    "agents/tools/mcp/streamable.py": {"httpx2": MCP},
    "agents/tools/sql/postgresql.py": {"psycopg": SOURCE},
    "agents/tools/sql/bounded.py": dict.fromkeys(("socket", "psycopg"), SOURCE),
    "platform/notices/letters.py": {"django.core.mail": MAIL},
    "platform/notices/sending.py": dict.fromkeys(("django.core.mail", "smtplib"), MAIL),
    "agents/engine/django_q.py": {"psycopg": DATABASE},
    "agents/engine/driver.py": {"socket": "its machine's name", "psycopg": DATABASE},
    "agents/engine/executor.py": {"psycopg": DATABASE},
    "agents/engine/claims.py": {"psycopg": DATABASE},
    "agents/engine/leases.py": {"psycopg": DATABASE},
    "agents/engine/in_line.py": {"psycopg": DATABASE},
    "agents/engine/temporal/hands.py": {"psycopg": DATABASE},
    "agents/engine/temporal/presence.py": {"psycopg": DATABASE},
    "agents/engine/temporal/worker.py": {"socket": "its machine's name", "psycopg": DATABASE},
    "agents/management/commands/qcluster.py": {"socket": "its machine's name", "redis": CACHE},
    "agents/providers/rehearsal/__main__.py": {"socket": LISTENS},
    "platform/checkpoints/letters.py": dict.fromkeys(("smtplib", "django.core.mail"), MAIL),
    "platform/db/pool.py": {"psycopg": DATABASE},
    "platform/db/provision.py": {"psycopg": DATABASE},
    "platform/db/session.py": {"psycopg": DATABASE},
    "platform/db/trip.py": {"psycopg": DATABASE},
    "platform/db/management/commands/migrate.py": {"psycopg": DATABASE},
    "platform/db/backend/base.py": {"psycopg": DATABASE},
    "platform/db/embedded/backend/base.py": {"psycopg": DATABASE},
    "platform/db/embedded/postmaster.py": {"socket": OWN},
    "platform/ops/answering.py": {"http.client": OWN},
    "platform/ops/machine.py": {"socket": LISTENS},
    "platform/ops/management/commands/web.py": {"socket": LISTENS},
    "platform/ops/metrics.py": {"psycopg": DATABASE},
    "platform/ops/temporal_server.py": {"socket": OWN},
    "platform/ops/serving.py": dict.fromkeys(("socket", "http.client"), OWN),
    "platform/ops/demo/rest.py": {"http.client": OWN},
    "platform/ops/demo/service.py": {"socket": LISTENS},
    "platform/ops/demo/stage.py": {"socket": OWN},
    "platform/quotas/provider.py": {"psycopg": DATABASE},
    "platform/signin/letters.py": {"django.core.mail": MAIL},
    "platform/signin/mail.py": dict.fromkeys(("smtplib", "django.core.mail"), MAIL),
    "platform/signin/oidc/adapter.py": {"requests": ADAPTED},
    "platform/signin/oidc/errors.py": {"requests": ADAPTED},
    "audit/sealer/loop.py": {"psycopg": DATABASE},
    "audit/sealer/sealer.py": {"psycopg": DATABASE},
    "platform/signin/oidc/transport.py": {"requests": ADAPTED},
    "platform/signin/oidc/views.py": {"requests": ADAPTED},
}


def client_modules(path: Path) -> Iterator[str]:
    """The modules of CLIENTS that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            parts = name.split(".")
            yield from {".".join(parts[:end]) for end in range(1, len(parts) + 1)} & CLIENTS


def sources() -> Iterator[Path]:
    for top in ("platform", "agents", "audit", "escalations"):
        yield from (ROOT / top).rglob("*.py")


def test_whoever_can_reach_the_network_is_known_and_nobody_else_does() -> None:
    found = {str(path.relative_to(ROOT)): set(client_modules(path)) for path in sources()}
    found = {path: modules for path, modules in found.items() if modules}

    assert found == {path: set(modules) for path, modules in MAY.items()}


def test_allauth_calls_nobody_but_through_the_guarded_client() -> None:
    from signin.oidc.transport import GuardedTransport, session

    assert {type(adapter) for adapter in session().adapters.values()} == {GuardedTransport}
    assert not session().trust_env
