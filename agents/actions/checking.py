"""Turn problems of a document into the error that says them."""

from collections.abc import Sequence

from agents.core.schema import Problem
from agents.errors import InvalidDocument


def refuse(problems: Sequence[Problem], detail: str) -> None:
    """Raise `InvalidDocument` with each problem's place, unless there are none."""
    if problems:
        first = problems[0]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        where = f"{first.pointer}: " if first.pointer else ""
        raise InvalidDocument(
            f"{detail} {where}{first.message}{more}",
            errors=[{"pointer": problem.pointer, "detail": problem.message} for problem in problems],
        )
