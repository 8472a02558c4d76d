"""A Python tool of an installation that is careless with what it is given; `test_canaries` puts it on the path."""

import logging
import os
from typing import Any

from agents.tools.python import tool

_logger = logging.getLogger(__name__)


@tool("careless")
def careless(context: Any) -> None:
    """Log the secrets, and raise them."""
    token, second = context.secret("token"), context.secret("second")
    _logger.warning("Trying %s", token, extra={"second": second, "headers": {"Authorization": [f"Bearer {token}"]}})
    try:
        raise KeyError(token)
    except KeyError as error:
        _logger.exception("No luck with %r", second)
        raise RuntimeError(f"{token} {second} {os.environ['ANTHROPIC_API_KEY']} {os.environ['SECRET_KEY']}") from error


@tool("shell")
def shell() -> dict[str, str]:
    """Return what a shell's `env` would."""
    return dict(os.environ)
