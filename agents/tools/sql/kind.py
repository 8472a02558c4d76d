"""The tool kind `sql`: a read-only query on a data source, written by the model.

Arguments: `{query: str, params?: list | object}`; placeholders are `?` and `:name` for SQLite, `%s` and `%(name)s` for
PostgreSQL. Result: `{columns: [name], rows: [[value]], truncated: bool}`.
"""

from pathlib import Path
from typing import Any

from agents.tools.seam import ConfigProblem, Failed, Outcome, ToolCall, ToolContext, ToolDefinition
from agents.tools.sql import postgresql, sqlite
from egress.client import Client

DEFAULT_ROWS = 1000
MAX_ROWS = 10_000
MAX_QUERY_CHARS = 50_000


class SqlKind:
    """Calls of `sql` tools.

    sources_dir: the folder of SQLite files that data sources may name; a file in its subfolder named by a tenant's id
    is that tenant's alone, a file in the folder itself is everybody's.
    """

    bounds_itself = True

    def __init__(self, client: Client, sources_dir: Path) -> None:
        self._client = client
        self._sources_dir = sources_dir

    def problems(self, definition: ToolDefinition) -> list[ConfigProblem]:
        """Check the block; whether the source exists shows at the call."""
        config = definition.config
        found = [
            ConfigProblem(f"/{key}", "This key is not known; an sql tool has source and max_rows.")
            for key in config
            if key not in ("source", "max_rows")
        ]
        if not isinstance(config.get("source"), str) or not config["source"]:
            found.append(ConfigProblem("/source", "Write the name of a data source."))
        rows = config.get("max_rows", DEFAULT_ROWS)
        if not isinstance(rows, int) or isinstance(rows, bool) or not 1 <= rows <= MAX_ROWS:
            found.append(ConfigProblem("/max_rows", f"Write a whole number from 1 to {MAX_ROWS}."))
        if definition.effect != "read":
            found.append(ConfigProblem("", "An sql tool only reads: its effect is read."))
        return found

    def call(self, call: ToolCall, context: ToolContext) -> Outcome:
        """Run one query."""
        query, params = call.arguments.get("query"), call.arguments.get("params")
        wrong = _wrong(query, params) or _wrong_keys(call)
        if wrong:
            return Failed("bad_arguments", wrong)
        name = call.definition.config.get("source", "")
        try:
            source = context.source(name)
        except LookupError:
            return Failed("misconfigured", f"There is no data source {name!r}.")
        bounds: dict[str, Any] = {
            "max_rows": call.definition.config.get("max_rows", DEFAULT_ROWS),
            "timeout_s": call.definition.timeout_s,
        }
        given = params if params is not None else ()
        if source.engine == "postgresql":
            return postgresql.query(self._client, source.url, str(query), given, **bounds)
        if source.engine != "sqlite":
            return Failed("misconfigured", f"The data source {name!r} has an engine that is not known.")
        path = sqlite.find_file(self._sources_dir, context.tenant_id, source.url)
        if path is None:
            return Failed("misconfigured", f"The data source {name!r} names no file of this installation.")
        return sqlite.query(path, str(query), given, **bounds)


def _wrong(query: Any, params: Any) -> str | None:
    if not isinstance(query, str) or not query.strip():
        return "query must be the text of one SELECT."
    if len(query) > MAX_QUERY_CHARS:
        return f"query is longer than {MAX_QUERY_CHARS} characters."
    if "\0" in query:
        return "query holds a NUL character."
    if params is not None and not isinstance(params, (list, dict)):
        return "params must be a list or an object."
    values = params.values() if isinstance(params, dict) else params or ()
    if any(isinstance(value, (list, dict)) for value in values):
        return "params must hold texts, numbers, booleans and nulls only."
    return None


def _wrong_keys(call: ToolCall) -> str | None:
    unknown = [name for name in call.arguments if name not in ("query", "params")]
    return f"{unknown[0]} is not an argument of this tool; it takes query and params." if unknown else None
