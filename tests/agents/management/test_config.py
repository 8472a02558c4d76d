"""`manage.py config`: its exit codes, and sentences in place of tracebacks."""

import io
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError

from tests.worlds import World, world

TOOL = """
apiVersion: countersign/v1
kind: Tool
metadata: {name: fetch}
spec:
  description: Fetch a customer.
  type: http
  http: {url: "https://crm.example/{id}"}
  input_schema: {type: object, properties: {id: {type: string}}, required: [id]}
"""


@pytest.fixture
def here(database: None) -> World:
    return world()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tools.yaml"
    path.write_text(TOOL, encoding="utf-8")
    return path


def config(verb: str, *files: Path, tenant: str, publish: bool = False) -> str:
    out = io.StringIO()
    more = {} if verb == "export" else {"publish": publish}
    call_command("config", verb, *map(str, files), tenant=tenant, stdout=out, **more)
    return out.getvalue()


def process(environment: dict[str, str], *arguments: object, given: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", "config", *map(str, arguments)],
        cwd=settings.BASE_DIR,
        env=environment,
        input=given,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_plan_apply_plan_export(here: World, file: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as exited:
        config("plan", file, tenant=here.slug)
    assert exited.value.code == 2

    applied = config("apply", file, tenant=here.slug, publish=True)
    assert "+ Tool fetch (version 1)" in applied
    assert "1 change applied." in applied
    assert config("plan", file, tenant=here.slug) == "No change.\n"

    exported = config("export", tenant=here.slug)
    assert config("export", tmp_path / "all.yaml", tenant=here.slug) == ""
    assert (tmp_path / "all.yaml").read_text(encoding="utf-8") == exported
    assert config("plan", tmp_path / "all.yaml", tenant=here.slug) == "No change.\n"


def test_a_plan_with_changes_exits_with_2(here: World, process_environment: dict[str, str]) -> None:
    done = process(process_environment, "plan", "--tenant", here.slug, "-", given=TOOL)

    assert (done.returncode, done.stderr) == (2, "")
    assert "1 change to apply." in done.stdout


def test_errors_exit_with_1_and_a_sentence(here: World, process_environment: dict[str, str]) -> None:
    broken = TOOL.replace("type: http", "type: htp")

    done = process(process_environment, "plan", "--tenant", here.slug, "-", given=broken)

    assert done.returncode == 1
    assert (
        "standard input:7: Tool fetch: /type: Write one of http, mcp, python, sql, agent. Did you mean http?"
        in done.stderr
    )
    assert "Traceback" not in done.stderr


def test_what_is_missing_is_said(here: World, file: Path, tmp_path: Path) -> None:
    for files, tenant, words in (
        ([file], "no-such", "There is no tenant 'no-such'"),
        ([tmp_path / "none.yaml"], here.slug, r"none\.yaml cannot be read"),
        ([], here.slug, "Name at least one file"),
        ([file], "", "Name the tenant"),
    ):
        with pytest.raises(CommandError, match=words):
            config("plan", *files, tenant=tenant)
