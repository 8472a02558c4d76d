"""`make setup` does again only what changed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ops import project_setup
from ops.project_setup import Step


@pytest.fixture
def done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The steps done, of two that depend on a file each."""
    names: list[str] = []

    def step(name: str) -> Step:
        depends_on = tmp_path / f"{name}.lock"
        depends_on.write_text("1")
        return Step(name, name, (depends_on,), note(name))

    def note(name: str) -> Callable[[], None]:
        return lambda: names.append(name)

    monkeypatch.setattr(project_setup, "PYTHON", Path(__file__))
    monkeypatch.setattr(project_setup, "STAMPS", tmp_path / "stamps")
    monkeypatch.setattr(project_setup, "STEPS", (step("first"), step("second")))
    return names


def test_a_second_call_does_nothing(done: list[str]) -> None:
    project_setup.main()
    project_setup.main()

    assert done == ["first", "second"]


def test_a_changed_lock_is_installed(done: list[str], tmp_path: Path) -> None:
    project_setup.main()
    (tmp_path / "second.lock").write_text("2")

    project_setup.main()

    assert done == ["first", "second", "second"]


def test_a_step_that_failed_is_done_again(done: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise SystemExit("no network")

    lock = tmp_path / "first.lock"
    monkeypatch.setattr(project_setup, "STEPS", (Step("first", "first", (lock,), fail),))
    with pytest.raises(SystemExit):
        project_setup.main()
    monkeypatch.setattr(project_setup, "STEPS", (Step("first", "first", (lock,), lambda: done.append("first")),))

    project_setup.main()

    assert done == ["first"]
