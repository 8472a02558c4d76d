"""WITNESSES and CHECKPOINT_MAIL: where the logs' checkpoints go."""

import re
from dataclasses import dataclass
from typing import Final

from django.core.exceptions import ImproperlyConfigured

from audit.log.note import COSIGNATURE, BadKey, VerifierKey
from config.env import Env, split_url

#: More are not asked: each gets every log's checkpoints.
MOST: Final = 16

_ADDRESS: Final = re.compile(r"[^\s@<>(),;:\"]+@[^\s@<>(),;:\"]+")
_LOG: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Witness:
    """One who cosigns checkpoints (C2SP tlog-witness).

    key: verifies its cosignatures. url: its submission prefix. logs: those that it is asked for, `platform` or tenants'
    slugs; () for all of them.
    """

    key: VerifierKey
    url: str
    logs: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its key's name and id, as its verifier key begins: what it is known by here."""
        return f"{self.key.name}+{self.key.key_id.hex()}"


@dataclass(frozen=True, slots=True)
class Recipient:
    """One to whom checkpoints are mailed. log: `platform` or a tenant's slug; "" for every log."""

    log: str
    address: str

    @property
    def entry(self) -> str:
        """As it is written in the setting."""
        return f"{self.log}={self.address}" if self.log else self.address


def witnesses(env: Env) -> tuple[Witness, ...]:
    """Read WITNESSES, `VKEY URL [LOG…]` each; raises ImproperlyConfigured with a sentence that says how to mend it."""
    found = tuple(_witness(item) for item in env.items("WITNESSES"))
    if len({each.name for each in found}) < len(found) or len(found) > MOST:
        raise ImproperlyConfigured(f"WITNESSES names a witness twice, or more than {MOST}: leave some out.")
    return found


def recipients(env: Env) -> tuple[Recipient, ...]:
    """Read CHECKPOINT_MAIL, addresses or `log=address`; raises ImproperlyConfigured as above."""
    found = []
    for item in env.items("CHECKPOINT_MAIL"):
        log, _, address = item.rpartition("=")
        if not _ADDRESS.fullmatch(address) or ("=" in item and not _LOG.fullmatch(log)):
            raise ImproperlyConfigured(
                f"CHECKPOINT_MAIL: {item!r} is neither an address nor log=address, the log being platform or a "
                "tenant's slug."
            )
        found.append(Recipient(log, address))
    return tuple(dict.fromkeys(found))


def _witness(item: str) -> Witness:
    text, url, *logs = [*item.split(), ""][: max(2, len(item.split()))]
    try:
        key = VerifierKey.parse(text)
    except BadKey as error:
        raise ImproperlyConfigured(f"WITNESSES: {error} An entry is the witness's key and its URL.") from error
    if key.algorithm != COSIGNATURE:
        raise ImproperlyConfigured(f"WITNESSES: the key of {key.name} is a log's, not a witness's (its type is not 4).")
    split_url("WITNESSES", url, ("https", "http"))
    if not all(map(_LOG.fullmatch, logs)):
        raise ImproperlyConfigured(f"WITNESSES: behind the URL of {key.name} stand platform or tenants' slugs.")
    return Witness(key, url.rstrip("/"), tuple(logs))
