"""The control map of docs/compliance.md names nothing that is not there."""

import ast
import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection
from django.urls import Resolver404, resolve

from agents.core.events import BY_ACTION
from api.documentation import document
from config.env import KNOWN
from db.tables import listed
from tenants.scopes import SCOPES

ROOT = Path(settings.BASE_DIR)
PAGE = (ROOT / "docs" / "compliance.md").read_text()
MAP = PAGE.partition("## Control map")[2].partition("\n## ")[0]

#: Words that are no names: how actors are written, a field of an answer, a command.
WORDS = {"user:…", "key:…", "engine", "appeal", "required", "python -m audit.verify"}


def names() -> list[str]:
    """Return what stands in code letters, once each."""
    return sorted(set(re.findall(r"`([^`]+)`", MAP)) - WORDS)


@cache
def source() -> str:
    """Return all the product's Python."""
    tops = (ROOT / top for top in ("agents", "audit", "escalations", "platform"))
    return "\n".join(path.read_text() for top in tops for path in sorted(top.rglob("*.py")))


def is_test(name: str) -> bool:
    path, _, test = name.partition("::")
    tree = ast.parse((ROOT / path).read_text())
    return not test or any(isinstance(node, ast.FunctionDef) and node.name == test for node in ast.walk(tree))


def is_column(name: str) -> bool:
    table, _, column = name.partition(".")
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_attribute WHERE attrelid = %s::regclass AND attname = %s", [table, column])
        return cursor.fetchone() is not None


def is_field(name: str) -> bool:
    action, _, field = name.rpartition(".")
    event = BY_ACTION.get(action)
    return event is not None and field in event.__dataclass_fields__


def is_address(name: str) -> bool:
    method, _, path = name.partition(" ")
    if path.startswith("/api/"):
        return method.lower() in document_paths().get(path, ())
    try:
        return bool(resolve(path))
    except Resolver404:
        return False


@cache
def document_paths() -> dict[str, set[str]]:
    return {path: set(methods) for path, methods in json.loads(document())["paths"].items()}


#: The form of a name → whether what has it is there.
KINDS: tuple[tuple[str, Callable[[str], bool]], ...] = (
    (r"tests/\S+\.py(::\w+)?", is_test),
    (r"[a-z_/]+\.py", lambda name: (ROOT / name).is_file()),
    (r"(GET|POST|PUT|DELETE) /\S+", is_address),
    (r"[A-Z][A-Z_]+", lambda name: name in KNOWN),
    (r"[A-Z][A-Za-z]+", lambda name: f"alert: {name}," in (ROOT / "docs" / "running.md").read_text()),
    (r"[a-z]+:[a-z]+", lambda name: name in SCOPES),
    (rf"({'|'.join(sorted(listed()))})\.\w+", is_column),
    (r"\w+\.\w+\.\w+", is_field),
    (r"[a-z]+\.[a-z_]+", lambda name: name in BY_ACTION or f'"{name}"' in source()),
)


def checks(name: str) -> Iterator[bool]:
    for form, there in KINDS:
        if re.fullmatch(form, name):
            yield there(name)
            return


def test_there_is_one_for_each_framework() -> None:
    headings = re.findall(r"^### (.+)$", MAP, re.MULTILINE)

    assert [heading.split(",")[0].split(" (")[0] for heading in headings] == [
        "What a record tells",
        "SOC 2",
        "ISO/IEC 27001:2022",
        "EU AI Act",
        "PCI DSS 4.0",
    ]
    for wanted in ("CC6.1", "CC7.2", "CC8.1", "A.8.15", "12 (1)", "14 (4)", "19 (1)", "26 (5)", "10.2.2", "10.3.4"):
        assert f"| {wanted}" in MAP


@pytest.mark.usefixtures("database")
def test_every_name_is_that_of_something() -> None:
    found = {name: list(checks(name)) for name in names()}

    assert {name for name, answers in found.items() if answers != [True]} == set()
    assert len(found) > 100


def test_every_row_says_what_proves_it() -> None:
    rows = [line for line in MAP.splitlines() if line.startswith("| ") and not line.startswith("|---")]
    heads = {line for line in rows if line.rstrip("| ").endswith(("proven by", "left to you"))}

    assert len(heads) == 5
    assert [line for line in rows if line not in heads and "`tests/" not in line] == []
