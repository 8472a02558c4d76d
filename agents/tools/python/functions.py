"""The Python functions that tools may name.

A function gets the call's arguments as keyword arguments and, if it has a parameter `context`, the `ToolContext`. It
returns JSON, or raises with a message fit for the model. A package adds functions with an entry point in the group
`countersign.tools`: a module that uses the decorator, or a function, registered under the entry point's name.
"""

import inspect
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, TypeVar

logger = logging.getLogger(__name__)
GROUP = "countersign.tools"
F = TypeVar("F", bound=Callable[..., Any])


class ToolRegistrationError(ValueError):
    """The function cannot be a tool. The text says why."""


@dataclass(frozen=True, slots=True)
class Function:
    """A registered function. wants_context: whether it has a parameter `context`."""

    name: str
    call: Callable[..., Any]
    signature: inspect.Signature
    wants_context: bool


class Functions:
    """Functions by name. Entry points are loaded at the first look-up."""

    def __init__(self, group: str | None = GROUP) -> None:
        self._group = group
        self._by_name: dict[str, Function] = {}
        self._broken: dict[str, str] = {}
        self._loading = threading.RLock()
        self._loaded = False

    def add(self, name: str, function: Callable[..., Any]) -> None:
        """Register `function`. Raises ToolRegistrationError."""
        if not callable(function) or inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
            raise ToolRegistrationError(f"{name}: a tool is a plain function, neither async nor a generator.")
        try:
            signature = inspect.signature(function)
        except ValueError:
            raise ToolRegistrationError(f"{name}: the function does not tell its parameters.") from None
        if any(each.kind is inspect.Parameter.POSITIONAL_ONLY for each in signature.parameters.values()):
            raise ToolRegistrationError(f"{name}: arguments come by keyword, so none may be positional-only.")
        known = self._by_name.get(name)
        if known is not None and _origin(known.call) != _origin(function):
            raise ToolRegistrationError(f"{name}: another function has this name already.")
        self._by_name[name] = Function(name, function, signature, "context" in signature.parameters)

    def get(self, name: str) -> Function | None:
        """The function of that name, or None."""
        if name not in self._by_name and not self._loaded:
            self._load()
        return self._by_name.get(name)

    def why_missing(self, name: str) -> str:
        """A sentence for a name that `get` does not know."""
        broken = "".join(f" The entry point {each} could not be loaded: {why}." for each, why in self._broken.items())
        return f"No Python function is registered as {name!r}; use @tool or an entry point of {GROUP}.{broken}"

    def _load(self) -> None:
        with self._loading:
            if self._loaded:
                return
            for point in entry_points(group=self._group) if self._group else ():
                try:
                    loaded = point.load()
                    if not inspect.ismodule(loaded):
                        self.add(point.name, loaded)
                except Exception as error:
                    # One broken package must not take every other tool with it; `why_missing` tells of it.
                    logger.exception("The entry point %s of %s could not be loaded.", point.name, GROUP)
                    self._broken[point.name] = type(error).__name__
            self._loaded = True


def _origin(function: Callable[..., Any]) -> tuple[str, str]:
    return (getattr(function, "__module__", ""), getattr(function, "__qualname__", repr(function)))


FUNCTIONS = Functions()


def tool(name: str) -> Callable[[F], F]:
    """Register the decorated function as the Python tool function `name`."""

    def register(function: F) -> F:
        FUNCTIONS.add(name, function)
        return function

    return register
