"""What our own code must not do with a scope, looked for in its text."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

SOURCES = [
    path
    for top in ("platform", "agents", "audit", "escalations")
    for path in (settings.BASE_DIR / top).rglob("*.py")
    if "migrations" not in path.parts
]
SCOPES = {"tenant_scope", "dispatch", "acting", "scope", "atomic"}


def test_no_generator_of_ours_yields_inside_a_scope() -> None:
    """But those that are scopes themselves, which `contextmanager` runs to their end in one place."""
    found = [f"{path}:{line}" for path in SOURCES for line in yields_inside_scopes(path)]

    assert found == []
    assert len(SOURCES) > 200


def yields_inside_scopes(path: Path) -> Iterator[int]:
    """Yield the lines where a generator gives control away while it holds a scope or a transaction."""
    for function in ast.walk(ast.parse(path.read_text())):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if any("contextmanager" in ast.unparse(decorator) for decorator in function.decorator_list):
            continue
        for block in (each for each in _own(function) if isinstance(each, ast.With | ast.AsyncWith)):
            if SCOPES & {_called(item.context_expr) for item in block.items}:
                yield from (each.lineno for each in _own(block) if isinstance(each, ast.Yield | ast.YieldFrom))


def _own(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what stands in the node, but not what stands in functions inside it."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from _own(child)


def _called(expression: ast.expr) -> str:
    if not isinstance(expression, ast.Call):
        return ""
    function = expression.func
    return (
        function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""
    )


def test_no_statement_of_ours_names_a_tenant_for_longer_than_a_transaction() -> None:
    """A session's setting would outlive it in the pool."""
    for path in SOURCES:
        text = path.read_text()
        for call in re.finditer(r"set_config\(\s*'app\.tenant'.{0,80}?(true|false)\)", text, re.DOTALL):
            assert call[1] == "true", path
        assert text.count("set_config('app.tenant'") == len(
            re.findall(r"set_config\('app\.tenant'[^;]{0,80}?true\)", text)
        )
        assert not re.search(r"SET (?:SESSION )?app\.tenant", text), path
