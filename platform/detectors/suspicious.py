"""What has no business in an input: words that instruct a model, signs nobody sees. Pure.

A pattern is no proof, and an attack without these words passes: what a run may do is bounded by grants, policies and
taint, whatever it read. These find the common ones early, before anything is spent.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator
from typing import Final

from detectors.texts import INVISIBLE, Span, compiled

_GAP: Final = r"[^.!?\n]{0,60}"
_INSTRUCTIONS: Final = compiled(
    "(?i)"
    + "|".join(
        (
            rf"\b(?:ignore|disregard|forget|override|bypass)\b{_GAP}\b(?:all|any|the|your|previous|prior|above|earlier"
            rf"|preceding|former)\b{_GAP}\b(?:instruction|prompt|rule|guideline|direction|constraint|command)s?\b",
            rf"\b(?:ignorier|vergiss|missacht)\w*\b{_GAP}\b(?:alle|vorherig|bisherig|obig|deine)\w*\b{_GAP}"
            r"\b(?:anweisung|regel|vorgabe|befehl)\w*",
            rf"\b(?:ignore[zr]?|oublie[zr]?)\b{_GAP}\b(?:instructions?|consignes?|règles?)\b{_GAP}"
            r"\b(?:précédentes?|antérieures?|ci-dessus)",
            rf"\b(?:ignora|olvida|omite)\w*\b{_GAP}\b(?:instrucciones|reglas|órdenes)\b{_GAP}"
            r"\b(?:anteriores|previas|de arriba)\b",
            r"\b(?:reveal|print|show|repeat|output|disclose|tell me)\b[^.!?\n]{0,40}"
            r"\b(?:system|initial|hidden|developer)\s+(?:prompt|message|instructions?)\b",
            r"\byou are now (?:in )?(?:dan\b|developer mode|jailbroken|unrestricted|unfiltered"
            r"|an? (?:ai|assistant) with(?:out| no))",
            r"\b(?:new|updated|revised) (?:system )?(?:instructions?|prompt)\s*:",
            rf"\b(?:act|behave|respond|pretend)\b{_GAP}\b(?:no|without)(?: any)?"
            r" (?:rules|restrictions|limits|filters|guidelines)\b",
            r"\bdo not (?:tell|inform|alert|notify)\b[^.!?\n]{0,40}"
            r"\b(?:user|human|operator|reviewer|supervisor|anyone)\b",
            r"<\|(?:im_start|im_end|system|user|assistant|endoftext|eot_id|start_header_id)\|>",
            r"\[/?INST\]|<</?SYS>>",
            r"</?\s*(?:system|system_prompt|instructions?|tool_result|function_results)\s*>",
            r"(?m:^)\s*#{0,4}\s*(?:system|assistant|developer) (?:prompt|message|instructions?)\s*:",
            r"\n\n(?:human|assistant):",
        )
    )
)

_CONTROL: Final = compiled(r"[\x00-\x08\x0B\x0C\x0E-\x1F\x7F\x{80}-\x{9F}]+")

#: Flags of England, Scotland and Wales are written with tag characters.
_FLAGS: Final = tuple(
    "\U0001f3f4" + "".join(chr(0xE0000 + ord(sign)) for sign in name) + "\U000e007f"
    for name in ("gbeng", "gbsct", "gbwls")
)
_HIDDEN: Final = compiled(f"[{INVISIBLE}]+")


#: Letters with their marks, or many plain ones. So many marks at most as no word has: putting them in order takes
#: time that grows with their square.
_LETTERS: Final = re.compile(r"[\x00-\x7f]+(?![\u0300-\u036f])|(?s:.)[\u0300-\u036f]{0,30}")


def instructions(text: str) -> Iterator[Span]:
    """Yield where words stand by which texts try to command the model that reads them."""
    spans = [found.span() for found in _INSTRUCTIONS.finditer(text)]
    yield from spans
    if text.isascii():
        return
    dressed = Compatible(text)
    if dressed.plain == text:
        return
    starts = [start for start, _ in spans]
    for found in _INSTRUCTIONS.finditer(dressed.plain):
        start, end = dressed.back(found.span())
        before = bisect_right(starts, start) - 1
        if before < 0 or spans[before][1] < end:  # those in plain letters are found again
            yield start, end


def control_characters(text: str) -> Iterator[Span]:
    """Yield where control characters stand, but for tabs and line ends. Looks at the text as it is."""
    yield from (found.span() for found in _CONTROL.finditer(_whole(text)))


def hidden_text(text: str) -> Iterator[Span]:
    """Yield where signs stand that nobody sees: without width, tags, changes of direction. Looks at it as it is."""
    if text.isascii():
        return
    for flag in _FLAGS:
        text = text.replace(flag, " " * len(flag))
    yield from (found.span() for found in _HIDDEN.finditer(_whole(text)))


class Compatible:
    """A text with letters of every dress (bold, circled, wide) as plain ones, and the way back to places in it."""

    def __init__(self, text: str) -> None:
        parts: list[str] = []
        self._starts: list[int] = []
        self._ends: list[int] = []
        for found in _LETTERS.finditer(text):
            start, end = found.span()
            part = found.group()
            if part.isascii():
                self._starts += range(start, end)
                self._ends += range(start + 1, end + 1)
            else:
                part = unicodedata.normalize("NFKC", part)
                self._starts += [start] * len(part)
                self._ends += [end] * len(part)
            parts.append(part)
        self.plain = "".join(parts)

    def back(self, span: Span) -> Span:
        """Return where in the text it is."""
        start, end = span
        return self._starts[start], self._ends[end - 1]


def _whole(text: str) -> str:
    return text if text.isascii() else text.encode("utf-16-le", "replace").decode("utf-16-le", "replace")
