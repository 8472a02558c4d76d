"""The demo's API keys, kept between starts in a file of this machine, because a key's text is shown only once."""

import json
import os
from pathlib import Path
from typing import Final

from django.conf import settings

from ops.demo import cast
from tenants.actions import api_keys, tenants
from tenants.errors import BadKey
from tenants.principal import COMMAND

STARTS: Final = ("runs:read", "runs:write", "agents:read", "tools:read", "usage:read")
DECIDES: Final = ("runs:read", "escalations:read", "escalations:decide")


def developer(tenant: str) -> str:
    """The key by which the tenant's developer starts runs."""
    return _key(tenant, cast.developer(tenant), STARTS)


def reviewer(tenant: str) -> str:
    """The key by which the tenant's reviewer decides."""
    return _key(tenant, cast.reviewer(tenant), DECIDES)


def _key(tenant: str, email: str, scopes: tuple[str, ...]) -> str:
    kept = _read()
    text = kept.get(email)
    if text is None or not _works(text, scopes):
        _, text = api_keys.create(
            tenant=tenants.by_slug(tenant), name="demo", scopes=scopes, member_email=email, acting_as=COMMAND
        )
        _write({**kept, email: text})
    return text


def _works(text: str, scopes: tuple[str, ...]) -> bool:
    try:
        principal = api_keys.authenticate(text)
    except BadKey:
        return False
    return principal.scopes is not None and set(scopes) <= principal.scopes


def _path() -> Path:
    return settings.DATA_DIR / "demo" / "keys.json"


def _read() -> dict[str, str]:
    try:
        kept: dict[str, str] = json.loads(_path().read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return kept


def _write(kept: dict[str, str]) -> None:
    path = _path()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(kept, file)
    os.replace(unfinished, path)
