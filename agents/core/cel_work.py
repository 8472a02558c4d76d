"""How much work an expression of CEL may take on given values, at most, told before it is evaluated. Pure.

cel-cpp bounds how many elements an expression goes through, in all its loops together, and nothing else: what is done
with each of them (to compare two lists, to join texts, to search one) takes as long as its operands are, and nothing
can stop it once it has begun. So the tree is walked first with what each part may be: the very values where they are
read, bounds where they are put together. Work is in nanoseconds, as measured on a slow core; it is the same everywhere.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final

import re2

from agents.core.cel_tree import Call, Constant, Field, Loop, Name, Node, Whole

Json = Any

#: What one evaluation may take.
MOST: Final = 100_000_000

#: Elements that cel-cpp goes through in one evaluation, in all loops together.
_ELEMENTS: Final = 10_000

#: Of each node; of a character that is handed over or looked through; of one that is compared; of an element that is
#: copied into another list; of a character held against one instruction of a pattern; of looking at one value here.
_NODE: Final = 400
_READ: Final = 15
_COMPARE: Final = 15
_COPY: Final = 100
_MATCH: Final = 8
_LOOK: Final = 60

#: Patterns that one place may hold; more are not looked at.
_PATTERNS: Final = 20

_FREE: Final = frozenset({"_&&_", "_||_", "!_", "-_", "@not_strictly_false", "type"})
_COMPARING: Final = frozenset({"_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_"})


class TooMuchWork(Exception):
    """Evaluating the expression on these values may take longer than `MOST`."""


@dataclass(frozen=True, slots=True)
class Extent:
    """What a part of an expression may yield.

    read: the values it may be, where it is one of those that were given. Else bounds. weight: characters it has as
    JSON. count: elements. of: what its elements may be.
    """

    read: tuple[Json, ...] = ()
    weight: int = 0
    count: int = 0
    of: "Extent | None" = None


_SMALL: Final = Extent(weight=32)


def check(tree: Node, values: Mapping[str, Json]) -> None:
    """Raise `TooMuchWork` if the expression may take longer than `MOST` on these values, its result included."""
    work = _Work(values)
    work.spend(work.weight(work.visit(tree, {}, 1)) * _READ)


@dataclass(slots=True)
class _Work:
    values: Mapping[str, Json]
    spent: int = 0
    given: set[str] = field(default_factory=set)
    weights: dict[int, int] = field(default_factory=dict)

    def spend(self, work: int) -> None:
        self.spent += work
        if self.spent > MOST:
            raise TooMuchWork

    def visit(self, node: Node, env: Mapping[str, Extent], times: int) -> Extent:
        """Count what it takes to evaluate `node` so often; returns what it yields. env: what loops call their own."""
        self.spend(times * _NODE)
        match node:
            case Constant(text):
                return Extent(weight=len(text) + 8, read=(text,))
            case Name(name):
                return env[name] if name in env else self.give(name)
            case Field(of, name):
                return self.field(self.visit(of, env, times), name)
            case Whole(parts):
                found = [self.visit(part, env, times) for part in parts]
                return Extent(weight=sum(map(self.weight, found)) + 8, count=len(found), of=_any(found))
            case Loop():
                return self.loop(node, env, times)
            case Call(function, parts):
                return self.call(function, [self.visit(part, env, times) for part in parts], times)

    def give(self, name: str) -> Extent:
        """Return a value that the expression is told, which is converted as a whole when it is first named."""
        value = Extent(read=(self.values.get(name),))
        if name not in self.given:
            self.given.add(name)
            self.spend(self.weight(value) * _READ)
        return value

    def loop(self, node: Loop, env: Mapping[str, Extent], times: int) -> Extent:
        over = self.visit(node.over, env, times)
        first = self.visit(node.first, env, times)
        count = min(self.count(over), _ELEMENTS)
        # What is gathered grows from nothing to as many: half as many on average.
        inner = {**env, node.result: Extent(first.read, first.weight, count // 2, first.of)}
        inner |= dict.fromkeys(node.variables, self.elements(over))
        often = min(times * count, _ELEMENTS)
        self.visit(node.condition, inner, often)
        step = self.visit(node.step, inner, often)
        one = self.weight(step.of) if step.of is not None else 0
        gathered = Extent(weight=first.weight + count * (one + 2), count=count, of=step.of)
        return self.visit(node.last, {**env, node.result: gathered}, times)

    def call(self, function: str, parts: list[Extent], times: int) -> Extent:
        if function in _FREE:
            return _SMALL
        if function in _COMPARING:
            self.spend(times * min(map(self.weight, parts)) * _COMPARE)
            return _SMALL
        match function, parts:
            case "_?_:_", [_, one, other]:
                return _any([one, other]) or _SMALL
            case "_[_]", [whole, Extent(read=(str() as name,))] if name:
                return self.field(whole, name)
            case "_[_]", [whole, _]:
                return self.elements(whole, of_maps=True)
            case "_+_", [one, other]:
                return self.joined(one, other, times)
            case "@in", [_, whole] if whole.read and all(isinstance(each, dict) for each in whole.read):
                return _SMALL
            case "size", [whole] if not any(isinstance(each, str) for each in whole.read):
                return _SMALL
            case "matches", [text, pattern]:
                self.spend(times * (self.weight(text) + 64) * self.instructions(pattern) * _MATCH)
                return _SMALL
        weight = sum(map(self.weight, parts))
        self.spend(times * weight * _COMPARE)
        return Extent(weight=weight + 32)

    def joined(self, one: Extent, other: Extent, times: int) -> Extent:
        count, weight = self.count(one) + self.count(other), self.weight(one) + self.weight(other)
        lists = count or one.of is not None or other.of is not None
        self.spend(times * (count * _COPY if lists else weight * _READ))
        elements = [self.elements(each) for each in (one, other) if self.count(each)]
        return Extent(weight=weight, count=count, of=_any(elements))

    def instructions(self, pattern: Extent) -> int:
        """Return how many instructions the pattern has, of several that it may be the most."""
        texts = [each for each in pattern.read if isinstance(each, str)]
        if len(texts) != 1 and (not texts or len(texts) > _PATTERNS or pattern.weight):
            raise TooMuchWork  # put together here, or one of too many
        return max(map(_instructions, texts))

    def field(self, whole: Extent, name: str) -> Extent:
        self.spend(len(whole.read) * _LOOK)
        found = tuple(each[name] for each in whole.read if isinstance(each, dict) and name in each)
        return _any([Extent(found), *([whole.of] if whole.of is not None else [])]) or _SMALL

    def elements(self, whole: Extent, *, of_maps: bool = False) -> Extent:
        """Return what one of its elements may be. of_maps: the values of maps, instead of their keys."""
        self.spend(sum(len(each) for each in whole.read if isinstance(each, list | dict)) * _LOOK)
        found = tuple(chain.from_iterable(_elements(whole.read, of_maps)))
        return _any([Extent(found), *([whole.of] if whole.of is not None else [])]) or _SMALL

    def count(self, whole: Extent) -> int:
        return max(whole.count, max((len(each) for each in whole.read if isinstance(each, list | dict)), default=0))

    def weight(self, value: Extent) -> int:
        self.spend(len(value.read) * _LOOK)
        return max(value.weight, max(map(self.weight_of, value.read), default=0))

    def weight_of(self, value: Json) -> int:
        if isinstance(value, str):
            return len(value) + 2
        if not isinstance(value, list | dict):
            return 16
        if id(value) not in self.weights:
            self.weights[id(value)] = len(json.dumps(value, default=str))
            self.spend(self.weights[id(value)] * _READ)
        return self.weights[id(value)]


def _elements(read: Iterable[Json], of_maps: bool) -> Iterator[Iterable[Json]]:
    for each in read:
        if isinstance(each, list):
            yield each
        elif isinstance(each, dict):
            yield each.values() if of_maps else each


def _any(extents: list[Extent]) -> Extent | None:
    """Return the extent of what is one of these; None of nothing."""
    if len(extents) < 2:
        return extents[0] if extents else None
    return Extent(
        read=tuple(chain.from_iterable(each.read for each in extents)),
        weight=max(each.weight for each in extents),
        count=max(each.count for each in extents),
        of=_any([each.of for each in extents if each.of is not None]),
    )


def _instructions(pattern: str) -> int:
    try:
        return int(re2.compile(pattern).programsize)
    except re2.error:
        return 1  # it is an error for CEL as well
