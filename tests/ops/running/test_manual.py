"""docs/running.md holds no command that nobody ran."""

import re
from pathlib import Path

import pytest
import yaml

from metrics.counters import KINDS
from ops import metrics
from tests.ops.running import manual

#: Blocks that need what is not there where the tests run; the page says so.
BY_HAND = {("With Docker Compose", 0)}

_CLAIM = re.compile(r'manual\.(?:run|text)\(\s*"([^"]+)", (\d)')


def test_every_command_is_run_by_a_test_or_said_not_to_be() -> None:
    sources = [path.read_text() for path in Path(__file__).parent.glob("*.py") if path.name != "manual.py"]
    run = {(heading, int(number)) for source in sources for heading, number in _CLAIM.findall(source)}

    assert run | BY_HAND == manual.blocks().keys()
    assert not run & BY_HAND


def test_the_alerts_ask_for_metrics_that_are_told(database: None) -> None:
    page = manual.PAGE.read_text()
    rules = yaml.safe_load(page.partition("```yaml\n")[2].partition("```")[0])["groups"][0]["rules"]
    told = {f"{metrics.PREFIX}_{name}_total" for name in KINDS}
    told |= {metric.name for metric in metrics.Installation().collect()}

    asked = {name for rule in rules for name in re.findall(r"countersign_\w+", rule["expr"])}
    assert len(rules) == len({rule["alert"] for rule in rules}) >= 9
    assert asked <= told


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([a-z-]+\.md)", manual.PAGE.read_text()))))
def test_its_links_lead_somewhere(link: str) -> None:
    assert (manual.PAGE.parent / link).exists()
