"""schemathesis against the real web process: its configuration, its run, and what it says."""

import json
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Json = Any

#: Share of the paths that name something that exists; the rest name anything.
KNOWN = 0.7

#: Share of the texts in bodies and parameters that are words this tenant knows.
WORDS = 0.25


CONDITIONS = ("If-Match", "If-None-Match")

#: What may be answered to a body that the schema allows: names of what is not there, states that have passed, cursors
#: and conditions that no schema can describe. Never a 405, 406, 408, 413 or 415, nor anything from 500 on.
TO_VALID = ("2xx", "400", "401", "403", "404", "409", "410", "412", "422", "428", "429")

#: What must be answered to one that it does not: 401 to 412 are looked at before it, and everything else refuses it.
TO_INVALID = ("400", "401", "403", "404", "405", "406", "409", "412", "413", "415", "422", "428", "429")


@dataclass(frozen=True)
class Told:
    """What a run of schemathesis found. by_operation: how often each status came back, by method and path."""

    code: int
    output: str
    by_operation: dict[str, Counter[int]]

    @property
    def statuses(self) -> Counter[int]:
        """How often each status came back."""
        return sum(self.by_operation.values(), Counter())

    @property
    def failures(self) -> str:
        """What schemathesis says of the failures, or ""."""
        return "" if self.code == 0 else self.output.partition("= FAILURES =")[2] or self.output


@dataclass(frozen=True)
class Known:
    """What exists. ids: by the names paths give their variables. words: people, digests, names."""

    ids: dict[str, str]
    words: list[str]


def run(url: str, *, key: str | None, known: Known, folder: Path, phases: str, examples: int, seed: int) -> Told:
    """Try the interface at `url` with a key, or none.

    phases: schemathesis's, separated by commas. examples: how many at most for each operation in each phase.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config, events = folder / "schemathesis.toml", folder / "events.ndjson"
    config.write_text(_config(known))
    command = [
        str(Path(sys.executable).parent / "schemathesis"),
        f"--config-file={config}",
        "--no-color",
        "run",
        f"{url}/api/schema",
        f"--url={url}",
        "--checks=all",
        f"--phases={phases}",
        f"--max-examples={examples}",
        f"--seed={seed}",
        "--suppress-health-check=all",
        "--generation-database=none",
        "--continue-on-failure",
        "--no-shrink",
        "--warnings=off",
        f"--report-ndjson-path={events}",
        *([f"--header=Authorization: Bearer {key}"] if key is not None else []),
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return Told(done.returncode, done.stdout + done.stderr, _statuses(events))


def _config(known: Known) -> str:
    lists = {**{name: [value] for name, value in known.ids.items()}, "words": known.words, "any": ["*"]}
    lines = [f"[dictionaries.{name}]\nvalues = {json.dumps(values)}" for name, values in lists.items()]
    lines += ["[generation.dictionaries]", f'string = {{ dictionary = "words", probability = {WORDS} }}']
    lines += ["[checks]"]
    lines += [f"positive_data_acceptance.expected-statuses = {json.dumps(TO_VALID)}"]
    lines += [f"negative_data_rejection.expected-statuses = {json.dumps(TO_INVALID)}"]
    lines += ["[parameters]"]
    lines += [f'"path.{name}" = {{ dictionary = "{name}", probability = {KNOWN} }}' for name in known.ids]
    lines += [f'"header.{name}" = {{ dictionary = "any", probability = {KNOWN} }}' for name in CONDITIONS]
    return "\n".join(lines) + "\n"


def _statuses(events: Path) -> dict[str, Counter[int]]:
    found: dict[str, Counter[int]] = {}
    with events.open() as lines:
        for line in lines:
            scenario = json.loads(line).get("ScenarioFinished")
            if scenario is None:
                continue
            recorder = scenario["recorder"]
            for interaction in recorder.get("interactions", {}).values():
                request, answer = interaction["request"], interaction.get("response")
                if answer is not None:
                    found.setdefault(recorder["label"] or request["method"], Counter())[answer["status_code"]] += 1
    return found
