"""Tells at the end how much was tried."""

from typing import Any, Final

from tests.hostile.playing import Tally

#: All that was played in this process.
TALLY: Final = Tally()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the count, when anything was played here."""
    if TALLY.counts["runs"]:
        said = "something that may not be" if terminalreporter.stats.get("failed") else "nothing that may not be"
        terminalreporter.write_line(f"hostile model: {TALLY}; {said}")
