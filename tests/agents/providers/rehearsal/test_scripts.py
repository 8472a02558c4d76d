"""Reading scripts: what is refused, and where it says the mistake is."""

from pathlib import Path

import pytest

from agents.providers.rehearsal.scripts import BadScript, load

GOOD = "script: a\nmatch: {}\nturns:\n  - content: [{text: hi}]\n"


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("script: a\nmatch: {}\n", 1, "'turns' is a required property"),
        (GOOD + "extra: 1\n", 1, "'extra' was unexpected"),
        (GOOD + "priority: high\n", 5, "priority: 'high' is not of type 'integer'"),
        ("script: a\nmatch: {sytem: x}\nturns:\n  - content: []\n", 2, "'sytem' was unexpected"),
        ("script: a\nmatch: {}\nturns:\n  - content: []\n  - contents: []\n", 5, "turns/1"),
        ("script: a\nmatch: {}\nturns:\n  - content:\n    - text: hi\n    - txt: hi\n", 6, "turns/0/content/1"),
        ("script: a\nmatch: {}\nturns:\n  - content: [{tool_use: {input: {}}}]\n", 4, "'name' is a required property"),
        ("script: a\nmatch: {}\nturns:\n  - content: []\n    fault: {kind: flood}\n", 5, "flood"),
        ("script: a\nmatch: {}\nturns:\n  - content: []\n    fault: {kind: http_status}\n", 5, "status"),
        ("script: a\nmatch: {}\nturns:\n  - content: []\n    when: {afer: x}\n", 5, "'afer' was unexpected"),
        ("script: a\nmatch:\n  system: {regex: '('}\nturns:\n  - content: []\n", 3, "is not"),
        (GOOD + "---\n" + GOOD, 6, "the script 'a' is already at"),
        (GOOD + "script: b\n", 5, "'script' is given twice"),
        ("script: a\n match: {}\n", 2, "mapping values are not allowed here"),
        ("script: [\n", 2, "expected the node content"),
        ("- a\n", 1, "is not of type 'object'"),
    ],
)
def test_a_bad_script_is_refused_with_file_and_line(tmp_path: Path, text: str, line: int, reason: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)

    with pytest.raises(BadScript) as caught:
        load([tmp_path])

    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert reason in str(caught.value)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadScript, match="no such folder"):
        load([tmp_path / "nowhere"])


def test_scripts_come_by_priority_then_by_file(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "b.yaml").write_text(GOOD.replace("script: a", "script: b") + "---\n")
    (tmp_path / "a.yml").write_text(GOOD)
    (tmp_path / "deep" / "c.yaml").write_text(GOOD.replace("script: a", "script: c\npriority: 5"))
    (tmp_path / "notes.txt").write_text("no script")

    assert [script.name for script in load([tmp_path])] == ["c", "a", "b"]


def test_dates_and_numbers_stay_what_json_knows(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(GOOD.replace("{text: hi}", "{json: {day: 2026-01-01, n: 1.0, big: 90071992547409931234}}"))

    (script,) = load([path])

    assert repr(script.turns[0].content[0]["json"]) == repr(
        {"day": "2026-01-01", "n": 1.0, "big": 90071992547409931234}
    )


def test_the_manuals_example_is_a_script(tmp_path: Path) -> None:
    manual = (Path(__file__).parents[4] / "docs" / "rehearsal.md").read_text(encoding="utf-8")
    (tmp_path / "example.yaml").write_text(manual.split("```yaml\n")[1].split("```")[0])

    (script,) = load([tmp_path])

    assert [turn.when is None for turn in script.turns] == [True, False, False, False, False]
