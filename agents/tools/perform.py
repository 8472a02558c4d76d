"""Perform one call of a tool, whatever the outside does: bounded in time, size and number, clean and without secrets.

The engine has made the intent durable before and records the outcome after; what happens in between is here.
"""

import json
import logging
import random
import time
import traceback
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

from jsonschema.protocols import Validator

from agents.core.schema import problems, validator
from agents.tools.attempts import Attempt, ContextUnavailableError
from agents.tools.results import BadResultError, cut, written
from agents.tools.seam import (
    Failed,
    Finished,
    NoLongerOurs,
    Outcome,
    OutcomeUnknown,
    ToolCall,
    ToolContext,
    ToolDefinition,
    ToolKind,
    may_repeat,
    unclear,
)
from config.redaction import Redactor
from egress.threads import OutOfTimeError, Threads, TooManyAbandonedError

logger = logging.getLogger(__name__)
Registry = Mapping[str, ToolKind]
_THREADS = Threads("tool", max_abandoned=64)
MAX_ATTEMPTS = 10
BROKEN_OFF_ATTEMPTS = 3
"""Attempts of a call that broke off, whatever `retries` says: the same call with the same key finds out."""
PAUSE_S = 2.0
"""Between two attempts at most, unless the other side asks for more."""
PATIENCE_S = 10.0
"""For the longer pauses that the other side asks for (`Retry-After`), of one call in all: a worker's thread waits so
long. Where it asks for more, the call has failed."""
WHOLE_BYTES = 8 * 1024 * 1024
"""Of a result's JSON text, that is kept for people beside what the model is shown of it."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one call may take. result_bytes: of the result's JSON text; message_chars: of an error; pause_s: seconds
    between two attempts at most; patience_s: beyond that in all, if the other side asks for it. whole_bytes: of the
    JSON text of a result that is cut, for it to be kept whole.
    """

    result_bytes: int = 256 * 1024
    message_chars: int = 8000
    pause_s: float = PAUSE_S
    patience_s: float = PATIENCE_S
    whole_bytes: int = WHOLE_BYTES


def perform(
    call: ToolCall,
    context: ToolContext,
    *,
    registry: Registry,
    bounds: Bounds = Bounds(),
    may_go_on: Callable[[], bool] = lambda: True,
    sleep: Callable[[float], None] = time.sleep,
    jitter: Callable[[], float] = random.random,
) -> Outcome:
    """Make the call, repeating it after failures that may pass if it may be repeated, and return its one outcome.

    Raises nothing for what the outside or the tool does; `NoLongerOurs` when the context says so. may_go_on: asked
    before each repetition. sleep and jitter (0 to 1) are for tests.
    """
    kind = registry.get(call.definition.kind)
    if kind is None:
        return Failed("misconfigured", f"There are no tools of the kind {call.definition.kind!r} here.")
    secrets: set[str] = set()
    attempt = partial(Attempt, context, call.definition.name, secrets, sleep)
    outcome = _attempt(kind, call, attempt())
    maybe_done, patience_s = False, bounds.patience_s
    for number in range(1, MAX_ATTEMPTS):
        if not (isinstance(outcome, Failed) and number < _attempts(outcome, call.definition)):
            break
        maybe_done = maybe_done or outcome.maybe_done
        pause = min(bounds.pause_s, call.definition.backoff_s * 2 ** (number - 1)) * (0.5 + jitter() / 2)
        longer = max(0.0, (outcome.retry_after_s or 0.0) - pause)
        if longer > patience_s:
            break
        patience_s -= longer
        sleep(pause + longer)
        if not may_go_on():
            break
        outcome = _attempt(kind, call, attempt())
    if isinstance(outcome, Failed) and maybe_done:
        outcome = replace(outcome, maybe_done=True)
    return _clean(outcome, call.definition, secrets, bounds)


def checked(outcome: Finished, definition: ToolDefinition, *, bounds: Bounds = Bounds()) -> Outcome:
    """Return the outcome of a call whose result came by another way: held against the definition, and cut to size."""
    return _result(outcome, definition, Redactor(()), bounds)


def longest(definition: ToolDefinition) -> float:
    """Return how many seconds a call can take at most, all its attempts and the pauses between them.

    Waits for the platform's database are not in it.
    """
    attempts = min(MAX_ATTEMPTS, max(definition.attempts, BROKEN_OFF_ATTEMPTS))
    return attempts * (definition.timeout_s + PAUSE_S) + PATIENCE_S


def _attempts(outcome: Failed, definition: ToolDefinition) -> int:
    if not (outcome.retryable and may_repeat(definition)):
        return 1
    broke_off = outcome.maybe_done or outcome.code == "unreachable"
    return max(definition.attempts, BROKEN_OFF_ATTEMPTS) if broke_off else definition.attempts


def _attempt(kind: ToolKind, call: ToolCall, attempt: Attempt) -> Outcome:
    """Make one attempt. Its outcome does not count when the run was another's meanwhile: then raises `NoLongerOurs`."""
    try:
        return _attempt_now(kind, call, attempt)
    finally:
        attempt.end()


def _attempt_now(kind: ToolKind, call: ToolCall, attempt: Attempt) -> Outcome:
    definition = call.definition
    try:
        if kind.bounds_itself:
            return kind.call(call, attempt)
        outcome: Outcome = _THREADS.call(partial(kind.call, call, attempt), definition.timeout_s, attempt.more)
        return outcome
    except OutOfTimeError:
        told = f"The tool did not finish within {definition.timeout_s:g} seconds and may still be at work."
        return unclear(definition, Failed("timeout", told, retryable=True))
    except TooManyAbandonedError:
        return Failed("busy", "Too many tools that did not finish in time are still at work.", retryable=True)
    except ContextUnavailableError as error:
        _log(definition, error.__cause__ or error)
        return Failed("busy", "The platform could not read what the tool needs.", retryable=True)
    except NoLongerOurs:
        raise
    except Exception as error:
        _log(definition, error)
        told = f"The tool broke inside the platform ({type(error).__name__})."
        return unclear(definition, Failed("raised", told))


def _log(definition: ToolDefinition, error: BaseException) -> None:
    # Frames only: the message may hold a secret or somebody's data, and those never reach the log.
    where = "".join(traceback.format_tb(error.__traceback__))
    logger.error("The tool %s broke with %s.\n%s", definition.name, type(error).__name__, where)


def _clean(outcome: Outcome, definition: ToolDefinition, secrets: Set[str], bounds: Bounds) -> Outcome:
    redact = Redactor(secrets)
    if isinstance(outcome, Finished):
        return _result(outcome, definition, redact, bounds)
    asks = outcome.retry_after_s if isinstance(outcome, Failed) else None
    message = written(redact(outcome.message))[0]
    if asks is not None:
        message = f"{message[: bounds.message_chars - 100]} (The server asks to wait {asks:g} seconds.)"
    if len(message) > bounds.message_chars:
        message = message[: bounds.message_chars - 1] + "…"
    return outcome if message == outcome.message else replace(outcome, message=message)


def _result(outcome: Finished, definition: ToolDefinition, redact: Redactor, bounds: Bounds) -> Outcome:
    try:
        value, text = written(outcome.result)
        clean = redact.json(value, text)
        if clean is not value:
            value, text = written(clean)
    except RecursionError:
        return _bad("The tool's result is not JSON: it is nested too deeply.", definition)
    except BadResultError as error:
        return _bad(redact(f"The tool's result is not JSON: {error}."), definition)
    wrong = _against_schema(value, definition)
    if wrong:
        return _bad(redact(wrong), definition)
    size = len(text) if len(text) * 3 <= bounds.result_bytes else len(text.encode())
    if size <= bounds.result_bytes:
        return Finished(value, outcome.truncated)
    is_kept = size <= bounds.whole_bytes
    if not is_kept and definition.effect == "read":
        return Failed("too_large", f"The tool's result has {size} bytes; at most {bounds.whole_bytes} are taken.")
    return Finished(cut(value, text, bounds.result_bytes), truncated=True, whole=text if is_kept else None)


def _bad(message: str, definition: ToolDefinition) -> Outcome:
    if definition.effect == "read":
        return Failed("bad_result", message)
    told = f"{message} The call was made, so its effect may well have taken place."
    return OutcomeUnknown(told, "bad_result")


def _against_schema(value: Any, definition: ToolDefinition) -> str:
    """A sentence on what in `value` is not as `output_schema` says; empty if nothing."""
    if not definition.output_schema:
        return ""
    try:
        wrong = problems(_validator(json.dumps(definition.output_schema)), value)
    except Exception as error:  # a schema that passed the check when it was saved may still break on some value
        _log(definition, error)
        return f"The tool's output_schema cannot be used ({type(error).__name__})."
    lines = "; ".join(f"{problem.pointer or '/'}: {problem.message}" for problem in wrong[:5])
    return f"The tool's result is not as its definition says. {lines}." if wrong else ""


@lru_cache(maxsize=1024)
def _validator(schema: str) -> Validator:
    return validator(json.loads(schema))
