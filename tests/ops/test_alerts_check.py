"""The alert rules of the manual go through Prometheus' own reader, where that is installed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from django.conf import settings

from ops import alerts_check

PROMTOOL = shutil.which("promtool")


def check(page: Path | None = None, *, path: str = os.environ["PATH"]) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(settings.BASE_DIR / "platform" / "ops" / "alerts_check.py")]
    command += [str(page)] if page else []
    return subprocess.run(command, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False)


def test_the_manuals_rules_pass() -> None:
    done = check()

    assert done.returncode == 0, done.stdout + done.stderr
    said = f"{alerts_check.rules(alerts_check.PAGE).count('alert: ')} rules found" if PROMTOOL else "apt-get install"
    assert said in done.stdout


def test_who_has_no_promtool_is_told_what_to_install(tmp_path: Path) -> None:
    done = check(path=str(tmp_path))

    assert done.returncode == 0
    assert "promtool is not installed (Debian: apt-get install prometheus)" in done.stdout


def test_a_rule_that_prometheus_does_not_take_fails(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```yaml\ngroups: [{name: a, rules: [{alert: Down, expr: 'up ==== 0'}]}]\n```\n")

    assert check(page).returncode == (1 if PROMTOOL else 0)
