"""Looking for canaries: written apart from the code that is to hide them, so that they don't share a blind spot."""

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

import psycopg
from psycopg import sql

_CORE = 6


def traces(canary: str) -> set[str]:
    """What would give a canary away, in lower case: each form whole, and of base64 a core that any neighbour leaves."""
    data = canary.encode()
    forms = {canary, quote(canary, safe=""), quote(canary), quote_plus(canary), data.hex(), html.escape(canary)}
    forms |= {json.dumps(canary)[1:-1], repr(canary)[1:-1], quote(quote(canary, safe=""), safe="")}
    for before in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            forms.add(encode(bytes(before) + data)[8:-8].decode())
    # The first and last letters by themselves too: half a secret is one.
    forms |= {canary[: max(_CORE, len(canary) // 2)], canary[-max(_CORE, len(canary) // 2) :]}
    return {form.lower() for form in forms if len(form) >= _CORE}


def found(canaries: Iterable[str], text: str) -> list[str]:
    """Return the places in `text` where one of the canaries shows."""
    low = text.lower()
    return [
        f"…{text[max(0, match.start() - 60) : match.end() + 20]}…"
        for canary in canaries
        for form in traces(canary)
        for match in re.finditer(re.escape(form), low)
    ]


def every_row(dsn: str) -> Iterator[tuple[str, str]]:
    """Yield each table of the database, partitions included, with all it holds as text, as its superuser sees it."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        tables = connection.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        for schema, table in tables:
            rows = sql.SQL("COPY (SELECT * FROM {}) TO STDOUT").format(sql.Identifier(schema, table))
            with connection.cursor().copy(rows) as copied:
                content = b"".join(bytes(part) for part in copied)
            # Bytes are written as hexadecimal digits, JSON with its backslashes doubled.
            text = content.decode("utf-8", "backslashreplace")
            hidden = (bytes.fromhex(match[1]) for match in re.finditer(r"\\\\x((?:[0-9a-f]{2})+)", text))
            yield table, text.replace("\\\\", "\\") + " ".join(part.decode("latin-1") for part in hidden)
