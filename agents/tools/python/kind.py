"""The tool kind `python`: a registered function of this installation."""

import logging
import traceback

from agents.tools.python.functions import FUNCTIONS, Function, Functions
from agents.tools.seam import (
    ConfigProblem,
    Failed,
    Finished,
    NoLongerOurs,
    Outcome,
    ToolCall,
    ToolContext,
    ToolDefinition,
    unclear,
)

logger = logging.getLogger(__name__)


class PythonKind:
    """Calls of `python` tools. Their time is bounded by `perform`, which abandons them."""

    bounds_itself = False

    def __init__(self, functions: Functions = FUNCTIONS) -> None:
        self._functions = functions

    def problems(self, definition: ToolDefinition) -> list[ConfigProblem]:
        """Check that the function is registered here."""
        found = [
            ConfigProblem(f"/{key}", "This key is not known; a python tool has function.")
            for key in definition.config
            if key != "function"
        ]
        name = definition.config.get("function")
        if not isinstance(name, str):
            found.append(ConfigProblem("/function", "Write the name the function is registered under."))
        elif self._functions.get(name) is None:
            found.append(ConfigProblem("/function", self._functions.why_missing(name)))
        return found

    def call(self, call: ToolCall, context: ToolContext) -> Outcome:
        """Call the function with the arguments as keyword arguments."""
        name = call.definition.config.get("function", "")
        function = self._functions.get(name)
        if function is None:
            return Failed("misconfigured", self._functions.why_missing(name))
        arguments = dict(call.arguments)
        if function.wants_context:
            if "context" in arguments:
                return Failed("bad_arguments", "context is not an argument of this tool.")
            arguments["context"] = context
        try:
            function.signature.bind(**arguments)
        except TypeError as error:
            return Failed("bad_arguments", f"The arguments do not fit: {error}.")
        context.begin()
        try:
            return Finished(function.call(**arguments))
        except NoLongerOurs:
            raise
        except BaseException as error:
            return unclear(call.definition, _raised(function, error))


def _raised(function: Function, error: BaseException) -> Failed:
    # Frames only: the message may hold a secret or somebody's data, and those never reach the log.
    where = "".join(traceback.format_tb(error.__traceback__))
    logger.warning("The tool function %s raised %s.\n%s", function.name, type(error).__name__, where)
    text = _message(error)
    return Failed("raised", f"{type(error).__name__}: {text}" if text else type(error).__name__)


def _message(error: BaseException) -> str:
    try:
        return str(error).strip()
    except Exception:
        return "(its message cannot be read)"
