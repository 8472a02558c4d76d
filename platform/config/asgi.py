"""ASGI entry point: `uvicorn config.asgi:application`, or `manage.py web`.

The server's start (ASGI's lifespan) fails when the database login has more rights than a process that serves may have.
"""

import os
from typing import cast

from asgiref.sync import sync_to_async
from django.core.asgi import get_asgi_application
from django.db import DEFAULT_DB_ALIAS, connections

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

_django = get_asgi_application()  # sets Django up, which what follows needs

from db.backend.base import LOOK  # noqa: E402
from ops import serving  # noqa: E402
from web.body_limit import Application, Message, Receive, Send, limited  # noqa: E402

# A request looks at its pooled connection first, which may not have outlived the server's restart. The workers do not:
# their steps are repeated where they failed, and a look before each would double their transactions.
connections.databases[DEFAULT_DB_ALIAS][LOOK] = True

_requests = limited(cast(Application, _django))  # the same protocol, typed by Django with other mappings


async def application(scope: Message, receive: Receive, send: Send) -> None:
    """Answer one connection, or follow the server through its life."""
    if scope["type"] == "lifespan":
        await _live(receive, send)
    else:
        await _requests(scope, receive, send)


async def _live(receive: Receive, send: Send) -> None:
    await receive()
    try:
        await sync_to_async(serving.refuse_unsafe_runtime)()
    except Exception as error:
        await send({"type": "lifespan.startup.failed", "message": str(error)})
        return
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})
