"""Record the journals of this release: `make journals`. See the README beside this file."""

import json
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import django

Json = Any

HERE: Final = Path(__file__).parent

#: What of a run's row is kept beside its journal: what the fold of any release must come to.
COLUMNS: Final = (
    *("status", "waiting_for", "error_code", "model_calls", "tool_calls", "cost_nano"),
    *("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"),
    *("reserved_usd_nano", "reserved_tokens"),
)


def release() -> str:
    """Return this release's number."""
    project: str = tomllib.loads((HERE.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    return project


def recorded(model_url: str) -> Iterator[tuple[str, list[str]]]:
    """Play every scene; yields its name and the lines of its file."""
    from tests.journals.scenes import SCENES, Stage

    for name, scene in SCENES.items():
        stage = Stage(model_url)
        run = stage.world.run(scene(stage).id)
        head = {
            "release": release(),
            "run": str(run.id),
            "version": run.version.compiled,
            "row": {column: getattr(run, column) for column in COLUMNS},
        }
        yield name, [_line(head), *(_line(_as_json(stored)) for stored in stage.world.events(run.id))]


def _as_json(stored: Any) -> Json:
    return {
        "seq": stored.seq,
        "at": stored.at.isoformat(),
        "action": stored.action,
        "v": stored.v,
        "actor": stored.actor,
        "outcome": stored.outcome,
        "facts": stored.facts,
        "payload": stored.payload,
    }


def _line(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n"


def main() -> None:
    """Write this release's folder anew."""
    django.setup()
    from django.conf import settings

    from agents.core.events import BY_ACTION
    from db import embedded
    from ops.machine import close_connections
    from tests import template_database
    from tests.agents.providers.servers import rehearsal
    from tests.journals.scenes import SCRIPTS

    folder = HERE / release()
    folder.mkdir(exist_ok=True)
    seen: set[str] = set()
    server = embedded.ensure_running(settings.DATA_DIR)
    with template_database.copied(server) as database, rehearsal(SCRIPTS) as model_url:
        template_database.use(database)
        for name, lines in recorded(model_url):
            (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
            seen |= {json.loads(line)["action"] for line in lines[1:]}
            print(f"{folder.name}/{name}.jsonl  {len(lines) - 1} events")
        close_connections()
    embedded.stop_if_unused(settings.DATA_DIR)
    if missing := sorted(set(BY_ACTION) - seen):
        sys.exit(f"No scene has: {', '.join(missing)}. Add one to tests/journals/scenes.py.")


if __name__ == "__main__":
    main()
