"""An expression of CEL as a tree, read from what its compiler writes down of it. Pure.

The form is `cel.expr.CheckedExpr` of the CEL specification (proto/cel/expr/checked.proto and syntax.proto), inside a
`google.protobuf.Any`; the numbers below are those of its fields.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from google.protobuf.empty_pb2 import Empty
from google.protobuf.unknown_fields import UnknownFieldSet

_VALUE_OF_ANY: Final = 2
_EXPR_OF_CHECKED: Final = 4
_TEXTS: Final = (6, 7)  # of a constant: string_value, bytes_value
_KINDS: Final = range(3, 10)  # of an expression: const_expr to comprehension_expr


@dataclass(frozen=True, slots=True)
class Constant:
    """text: of a string, in whatever spelling; "" for any other."""

    text: str


@dataclass(frozen=True, slots=True)
class Name:
    name: str


@dataclass(frozen=True, slots=True)
class Field:
    of: "Node"
    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """function: as the specification names it, operators included (`_+_`). parts: what it is called on, first.

    A message that is put together here (`google.protobuf.Value{…}`) is a call of its type.
    """

    function: str
    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Whole:
    """A list or a map that is put together here. parts: elements, or keys and values. keyed: whether it is a map."""

    parts: tuple["Node", ...]
    keyed: bool = False


@dataclass(frozen=True, slots=True)
class Loop:
    """What a macro (all, exists, map, …) becomes. variables: of an element; result: the name it is gathered under."""

    variables: tuple[str, ...]
    over: "Node"
    result: str
    first: "Node"
    condition: "Node"
    step: "Node"
    last: "Node"


Node = Constant | Name | Field | Call | Whole | Loop


def tree(serialized: bytes) -> Node:
    """Return the tree of an expression as `cel.Expression.serialize` writes it."""
    return _node(_one(_one(serialized, _VALUE_OF_ANY), _EXPR_OF_CHECKED))


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the number and the content of each field that holds bytes, a text or a message."""
    found = UnknownFieldSet(Empty.FromString(message))
    for each in (found[index] for index in range(len(found))):
        if isinstance(each.data, bytes):
            yield each.field_number, each.data


def _all(message: bytes, number: int) -> list[bytes]:
    return [content for its, content in _fields(message) if its == number]


def _one(message: bytes, number: int) -> bytes:
    return next(iter(_all(message, number)), b"")


def _text(message: bytes, number: int) -> str:
    return _one(message, number).decode("utf-8", "replace")


def _node(message: bytes) -> Node:
    kind, content = next(((number, its) for number, its in _fields(message) if number in _KINDS), (0, b""))
    match kind:
        case 3:  # const_expr
            return Constant(next((its.decode("utf-8", "replace") for of, its in _fields(content) if of in _TEXTS), ""))
        case 4:  # ident_expr
            return Name(_text(content, 1))
        case 5:  # select_expr
            return Field(_node(_one(content, 1)), _text(content, 2))
        case 6:  # call_expr: target, function, args
            return Call(_text(content, 2), tuple(map(_node, [*_all(content, 1), *_all(content, 3)])))
        case 7:  # list_expr
            return Whole(tuple(map(_node, _all(content, 1))))
        case 8:  # struct_expr: message_name, and of each entry map_key and value
            parts = tuple(_node(its) for entry in _all(content, 2) for of, its in _fields(entry) if of in (3, 4))
            return Call(name, parts) if (name := _text(content, 1)) else Whole(parts, keyed=True)
        case 9:  # comprehension_expr
            return _loop(content)
    raise ValueError(f"an expression of a kind unknown here: {kind}")


def _loop(content: bytes) -> Loop:
    by = dict(_fields(content))
    return Loop(
        variables=tuple(_text(content, number) for number in (1, 8) if number in by),
        over=_node(by[2]),
        result=_text(content, 3),
        first=_node(by[4]),
        condition=_node(by[5]),
        step=_node(by[6]),
        last=_node(by[7]),
    )
