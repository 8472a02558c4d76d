"""Tools of the kind python: registered functions."""

import logging
import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest

from agents.tools.python import functions as module
from agents.tools.python import tool
from agents.tools.python.functions import FUNCTIONS, Functions, ToolRegistrationError
from agents.tools.python.kind import PythonKind
from agents.tools.seam import Failed, Finished, NoLongerOurs, Outcome, OutcomeUnknown, ToolContext
from tests.agents.tools.contexts import TENANT, Context, call_of


@tool("test_add")
def add(a: int, b: int = 1) -> int:
    """Add."""
    return a + b


def perform(function: Any, arguments: dict[str, Any], **spec: Any) -> Outcome:
    functions = Functions(group=None)
    functions.add("f", function)
    return PythonKind(functions).call(call_of("python", {"function": "f"}, arguments, **spec), Context())


def test_a_decorated_function_is_called_with_keyword_arguments() -> None:
    outcome = PythonKind().call(call_of("python", {"function": "test_add"}, {"a": 40, "b": 2}), Context())

    assert outcome == Finished(42)
    assert add(1) == 2


def test_a_function_may_take_the_context() -> None:
    def who(context: ToolContext, name: str) -> str:
        return f"{context.tenant_id} {name}"

    assert perform(who, {"name": "x"}) == Finished(f"{TENANT} x")


def test_the_model_cannot_give_the_context() -> None:
    def who(context: ToolContext) -> str:
        return str(context.tenant_id)

    outcome = perform(who, {"context": "forged"})

    assert isinstance(outcome, Failed)
    assert outcome.code == "bad_arguments"


@pytest.mark.parametrize("arguments", [{}, {"a": 1, "c": 2}])
def test_arguments_that_do_not_fit_are_told_without_calling(arguments: dict[str, Any]) -> None:
    called: list[int] = []

    def function(a: int) -> None:
        called.append(a)

    outcome = perform(function, arguments)

    assert isinstance(outcome, Failed)
    assert outcome.code == "bad_arguments"
    assert called == []


def test_an_exception_is_a_failure_with_its_message_and_no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    def function(name: str) -> None:
        raise ValueError(f"no such customer: {name}")

    with caplog.at_level(logging.WARNING):
        outcome = perform(function, {"name": "Ada"})

    assert outcome == Failed("raised", "ValueError: no such customer: Ada")
    assert "test_python.py" in caplog.text
    assert "Ada" not in caplog.text


def test_a_write_that_raised_may_have_been_done() -> None:
    def function() -> None:
        raise ConnectionError("cut")

    told = "ConnectionError: cut"
    assert perform(function, {}, effect="write") == OutcomeUnknown(told)
    again = perform(function, {}, effect="write", idempotent=True)
    assert again == Failed("raised", told, retryable=True, maybe_done=True)


class BrokenMessageError(Exception):
    """An exception that cannot be read."""

    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (SystemExit(3), "SystemExit: 3"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (BrokenMessageError(), "BrokenMessageError: (its message cannot be read)"),
        (ValueError("x" * 100_000), "ValueError: " + "x" * 100_000),
    ],
)
def test_any_exception_is_a_failure(error: BaseException, told: str) -> None:
    def function() -> None:
        raise error

    assert perform(function, {}) == Failed("raised", told)


def test_an_unknown_function_is_a_fault_of_the_definition() -> None:
    kind = PythonKind(Functions(group=None))
    call = call_of("python", {"function": "nowhere"})

    assert [problem.pointer for problem in kind.problems(call.definition)] == ["/function"]
    outcome = kind.call(call, Context())
    assert isinstance(outcome, Failed)
    assert outcome.code == "misconfigured"


@pytest.mark.parametrize(("config", "pointer"), [({}, "/function"), ({"function": "test_add", "x": 1}, "/x")])
def test_a_fault_in_the_block_is_pointed_at(config: dict[str, Any], pointer: str) -> None:
    found = PythonKind().problems(call_of("python", config).definition)

    assert [problem.pointer for problem in found] == [pointer]


async def coroutine() -> None:
    """Not a tool."""


def positional(a: int, /) -> int:
    """Not a tool."""
    return a


@pytest.mark.parametrize("function", [coroutine, positional, 5, dict.get])
def test_what_cannot_be_called_by_keyword_is_not_registered(function: Any) -> None:
    with pytest.raises(ToolRegistrationError):
        Functions(group=None).add("f", function)


def test_a_name_is_taken_once_but_the_same_function_may_be_imported_again() -> None:
    functions = Functions(group=None)
    functions.add("f", add)
    functions.add("f", add)

    with pytest.raises(ToolRegistrationError):
        functions.add("f", print)


def test_entry_points_add_functions_and_a_broken_one_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "acme_tools_for_test.py").write_text(
        "from agents.tools.python import tool\n\n\n@tool('acme_decorated')\ndef one():\n    return 1\n\n\n"
        "def two():\n    return 2\n"
    )
    (tmp_path / "broken_tools_for_test.py").write_text("import nothing_of_this_name\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    points = EntryPoints(
        EntryPoint(name, value, module.GROUP)
        for name, value in [
            ("acme_module", "acme_tools_for_test"),
            ("acme_two", "acme_tools_for_test:two"),
            ("acme_broken", "broken_tools_for_test"),
        ]
    )
    monkeypatch.setattr(module, "entry_points", lambda group: points.select(group=group))
    functions = Functions()

    two = functions.get("acme_two")
    decorated = FUNCTIONS.get("acme_decorated")

    assert two is not None
    assert two.call() == 2
    assert decorated is not None
    assert decorated.call() == 1
    assert "acme_broken could not be loaded: ModuleNotFoundError" in functions.why_missing("x")
    sys.modules.pop("acme_tools_for_test")


def test_a_function_is_not_called_for_a_run_that_another_worker_has() -> None:
    called: list[int] = []
    functions = Functions(group=None)
    functions.add("f", lambda: called.append(1))

    with pytest.raises(NoLongerOurs):
        PythonKind(functions).call(call_of("python", {"function": "f"}, {}), Context(lost=True))

    assert called == []
