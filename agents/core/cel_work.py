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

#: Characters that a search holds against others in a nanosecond: where all but the last of what is searched for is
#: everywhere, each is held against each.
_SEARCHED: Final = 16

#: Of a pattern, which is compiled each time: of a character, a set in it, a class of Unicode; held against no text.
_SPELT: Final = 500
_SET: Final = 6_000
_CLASS: Final = 250_000
_COMPILED: Final = 64

#: Bytes that a compiled pattern may have here; cel-cpp compiles larger ones, for longer.
_PROGRAM: Final = 1 << 20

#: Patterns, or zones, that one place may hold; more are not looked at.
_PATTERNS: Final = 20

#: Of what is said in a zone, whose name is looked up among files and kept; characters of a name.
_ZONED: Final = 20_000
_ZONE: Final = 64

_LOGIC: Final = frozenset({"_&&_", "_||_", "!_", "@not_strictly_false", "type"})
_FREE: Final = _LOGIC | {"-_", "_-_", "_*_", "_/_", "_%_"}
_COMPARING: Final = frozenset({"_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_"})
_TIMES: Final = frozenset(
    f"get{part}"
    for part in ("Date", "DayOfMonth", "DayOfWeek", "DayOfYear", "FullYear", "Hours", "Milliseconds", "Minutes")
) | {"getMonth", "getSeconds"}

#: What goes through its operands once, and yields neither a list nor a map.
_CONVERTING: Final = frozenset({"bool", "bytes", "double", "duration", "int", "string", "timestamp", "uint"})
_LINEAR: Final = _CONVERTING | _TIMES | {"endsWith", "startsWith"}


class TooMuchWork(Exception):
    """Evaluating the expression on these values may take longer than `MOST`."""


@dataclass(frozen=True, slots=True)
class Extent:
    """What a part of an expression may yield.

    read: the values it may be, where it is one of those that were given or written down. The others are bounds of what
    is put together here. weight: characters it has as JSON. count: elements. of: what its elements may be. flat: if it
    may be a text, or another that has no elements.
    """

    read: tuple[Json, ...] = ()
    weight: int = 0
    count: int = 0
    of: "Extent | None" = None
    flat: bool = False


_SMALL: Final = Extent(weight=32, flat=True)


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
                return Extent(read=(text,))
            case Name(name):
                return env[name] if name in env else self.give(name)
            case Field(of, name):
                return self.field(self.visit(of, env, times), name)
            case Whole(parts, keyed):
                found = [self.visit(part, env, times) for part in parts]
                weight = sum(map(self.weight, found)) + 8
                self.spend(times * weight * _READ if keyed else 0)
                return Extent(weight=weight, count=len(found), of=self.any(found))
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
            self.spend(times * self.compared(*parts) * _COMPARE)
            return _SMALL
        match function, parts:
            case "_?_:_", [_, one, other]:
                return self.any([one, other]) or _SMALL
            case "dyn", [one]:
                return one
            case "_[_]", [whole, key]:
                self.spend(times * self.weight(key) * _READ)
                if key.flat or key.weight or len(key.read) != 1 or not isinstance(key.read[0], str) or not key.read[0]:
                    return self.elements(whole, of_maps=True)
                return self.field(whole, key.read[0])
            case "_+_", [one, other]:
                return self.joined(one, other, times)
            case "@in", [one, whole]:
                self.spend(times * self.sought(one, whole) * _COMPARE)
                return _SMALL
            case "size", [whole]:
                self.spend(times * self.text(whole) * _READ)
                return _SMALL
            case "matches", [text, pattern]:
                self.spend(times * self.matched(self.weight(text), pattern))
                return _SMALL
            case "contains", [text, part]:
                all_of, part_of = self.weight(text), self.weight(part)
                self.spend(times * ((all_of + part_of) * _COMPARE + all_of * part_of // _SEARCHED))
                return _SMALL
        if function not in _LINEAR:
            raise TooMuchWork  # nothing is known of it
        if function in _TIMES and len(parts) > 1:
            self.spend(times * self.zoned(parts[1]))
        weight = sum(map(self.weight, parts))
        self.spend(times * weight * _COMPARE)
        return Extent(weight=weight + 32, flat=True)

    def compared(self, one: Extent, other: Extent) -> int:
        """Return how many characters are compared at most: all keys of a map are, whatever the other's are."""
        either = self.weight(one), self.weight(other)
        return max(either) if self.nested(one) and self.nested(other) else min(either)

    def sought(self, one: Extent, whole: Extent) -> int:
        """Return how many characters are compared when `one` is sought in a list, or among the keys of a map."""
        if whole.read and whole.of is None and not whole.weight and not whole.flat:
            self.spend(len(whole.read) * _LOOK)
            if all(isinstance(each, dict) for each in whole.read):
                return self.weight(one)
        each_with = self.weight(one) * self.count(whole) if self.nested(one) else self.weight(one)
        return each_with + self.weight(whole)

    def joined(self, one: Extent, other: Extent, times: int) -> Extent:
        count, weight = self.count(one) + self.count(other), self.weight(one) + self.weight(other)
        texts = self.text(one), self.text(other)
        lists = not (self.number(one) or self.number(other))
        self.spend(times * (count * _COPY * lists + (sum(texts) * _READ if all(texts) else 0)))
        elements = [self.elements(each) for each in (one, other) if self.nested(each)]
        return Extent(weight=weight, count=count, of=self.any(elements), flat=all(texts) or not elements)

    def matched(self, weight: int, pattern: Extent) -> int:
        """Return the work of one search in so many characters, with the most costly of the patterns it may be."""
        texts = [each for each in pattern.read if isinstance(each, str)]
        if pattern.flat or pattern.weight or len(texts) > _PATTERNS:
            raise TooMuchWork  # put together here, or one of too many
        most = 0
        for text in texts:
            compiling = len(text) * _SPELT + text.count("[") * _SET + text.lower().count("\\p") * _CLASS
            self.spend(compiling)  # as it is here
            most = max(most, compiling + (weight + _COMPILED) * _instructions(text) * _MATCH)
        return most

    def zoned(self, zone: Extent) -> int:
        """Return the work of finding a zone; its name is kept for good, so it is not put together here."""
        names = [each for each in zone.read if isinstance(each, str)]
        if zone.flat or zone.weight or len(names) > _PATTERNS or any(len(each) > _ZONE for each in names):
            raise TooMuchWork
        return _ZONED

    def field(self, whole: Extent, name: str) -> Extent:
        self.spend(len(whole.read) * _LOOK)
        found = tuple(each[name] for each in whole.read if isinstance(each, dict) and name in each)
        return self.any([Extent(found), *([whole.of] if whole.of is not None else [])]) or _SMALL

    def elements(self, whole: Extent, *, of_maps: bool = False) -> Extent:
        """Return what one of its elements may be. of_maps: the values of maps, instead of their keys."""
        self.spend(sum(len(each) for each in whole.read if isinstance(each, list | dict)) * _LOOK)
        found = tuple(chain.from_iterable(_elements(whole.read, of_maps)))
        return self.any([Extent(found), *([whole.of] if whole.of is not None else [])]) or _SMALL

    def count(self, whole: Extent) -> int:
        return max(whole.count, max((len(each) for each in whole.read if isinstance(each, list | dict)), default=0))

    def nested(self, value: Extent) -> bool:
        """Say whether it may be a list or a map that is not empty."""
        return value.of is not None or self.count(value) > 0

    def number(self, value: Extent) -> bool:
        """Say whether it is a number, or another that has no elements, for sure."""
        self.spend(len(value.read) * _LOOK)
        put_together = value.of is not None or value.count or value.weight or value.flat
        return bool(value.read) and not put_together and not any(isinstance(each, list | dict) for each in value.read)

    def text(self, value: Extent) -> int:
        """Return how many characters it has if it is a text; 0 of what cannot be one."""
        self.spend(len(value.read) * _LOOK)
        longest = max((self.weight_of(each) for each in value.read if isinstance(each, str)), default=0)
        return max(longest, value.weight if value.flat else 0)

    def any(self, extents: list[Extent]) -> Extent | None:
        """Return the extent of what is one of these; None of nothing."""
        if len(extents) < 2:
            return extents[0] if extents else None
        self.spend(sum(len(each.read) for each in extents) * _LOOK)
        return Extent(
            read=tuple(chain.from_iterable(each.read for each in extents)),
            weight=max(each.weight for each in extents),
            count=max(each.count for each in extents),
            of=self.any([each.of for each in extents if each.of is not None]),
            flat=any(each.flat for each in extents),
        )

    def weight(self, value: Extent) -> int:
        self.spend(len(value.read) * _LOOK)
        return max(value.weight, max(map(self.weight_of, value.read), default=0))

    def weight_of(self, value: Json) -> int:
        if isinstance(value, str):
            return len(value) * (1 if value.isascii() else 4) + 2
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


def _instructions(pattern: str) -> int:
    """Return how many instructions the pattern has; raises `TooMuchWork` where they are too many to compile."""
    options = re2.Options()
    options.max_mem = _PROGRAM
    options.log_errors = False
    try:
        return int(re2.compile(pattern, options).programsize)
    except re2.error as error:
        if b"too large" in error.args[0]:
            raise TooMuchWork from error
        return 1  # it is an error for CEL as well
