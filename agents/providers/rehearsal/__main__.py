"""`python -m agents.providers.rehearsal --port P [--scripts DIR ...]`: prints `ready URL` when it serves."""

import argparse
import asyncio
import contextlib
import logging
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import uvicorn

from agents.providers.rehearsal.scripts import BadScript, load
from agents.providers.rehearsal.server import Rehearsal

# A client that keeps its connections must not find them closed under its request.
KEEP_ALIVE_S = 120
BACKLOG = 4096


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        scripts = load(options.scripts)
    except (BadScript, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    try:
        listener = _listen(options.host, options.port)
    except OSError as error:
        sys.stderr.write(f"Cannot listen on {options.host}:{options.port}: {error.strerror}. Choose another --port.\n")
        return 2
    # A cut connection is an exception inside the application, which uvicorn would report.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL + 1)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(Rehearsal(scripts, options.api_key), listener))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m agents.providers.rehearsal", description="Speaks the Messages API and plays scripts."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    parser.add_argument("--port", type=int, required=True, help="port to listen on; 0 picks a free one")
    parser.add_argument(
        "--scripts", type=Path, nargs="+", action="extend", default=[], metavar="DIR", help="folders (or files) of YAML"
    )
    parser.add_argument("--api-key", help="the only key to accept (default: any)")
    return parser


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        # Listening already: whoever reads `ready` may connect at once.
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


async def _serve(app: Rehearsal, listener: socket.socket) -> None:
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        http="httptools",
        loop="asyncio",
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=1,
        server_header=False,
    )
    host, port = listener.getsockname()[:2]
    sys.stdout.write(f"ready http://{f'[{host}]' if ':' in host else host}:{port}\n")
    sys.stdout.flush()
    await uvicorn.Server(config).serve(sockets=[listener])


if __name__ == "__main__":
    raise SystemExit(main())
