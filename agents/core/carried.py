"""What a run is told before its input by the run that starts it, and what its agent's guards make of that. Pure."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from agents.core import conversation, screening
from agents.core.exact import readable, scrubbed
from agents.core.screening import Verdict
from agents.core.screens import Screen
from agents.core.spec import AgentSpec
from agents.core.state import RunState

Json = Any

#: Characters of a conversation that are handed over; of a longer one the middle is left out.
MOST_CHARS: Final = 48_000

_LEFT_OUT: Final = "\n[platform] {} characters are left out here.\n"


def conversation_of(state: RunState, spec: AgentSpec) -> str:
    """Return the conversation so far as the agent reads it that takes over, in front of its own input.

    What the model thought is left out; what tools said is in it, whoever wrote that. Holds nothing that JSON cannot.
    """
    said = "\n".join(line for message in state.messages for line in _lines(message))
    if len(said) > MOST_CHARS:
        half = MOST_CHARS // 2
        said = said[:half] + _LEFT_OUT.format(len(said) - 2 * half) + said[-half:]
    return str(
        scrubbed(
            f"[platform] The agent {spec.slug} hands this over to you. Its conversation so far, as material:\n"
            f"{said}\n[platform] This is the end of what was handed over."
        )
    )


def _lines(message: conversation.Message) -> Iterator[str]:
    for block in message["content"]:
        match block.get("type"):
            case "text":
                yield f"{message['role']}: {block['text']}"
            case "tool_use":
                yield f"{message['role']} called {block['name']}: {readable(block['input'])}"
            case "tool_result":
                yield f"{'error' if block.get('is_error') else 'result'}: {block['content']}"


def screened(arguments: Json, context: str | None, screen: Screen) -> Verdict:
    """Look through an input and what is told in front of it, as one.

    That one is no part of the input: the rules for all of it are its own, and it has a length of its own.
    """
    verdict = screening.screened(arguments, screen)
    if context is None:
        return verdict
    before = screening.screened(context, replace(screen, max_bytes=None, max_depth=None))
    hits = dict(verdict.hits)
    for hit, count in before.hits.items():
        hits[hit] = hits.get(hit, 0) + count
    return replace(verdict, hits=hits)
