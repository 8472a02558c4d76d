"""JSON read strictly: one way to write a value (RFC 8785), no key twice. Pure."""

import json
from collections.abc import Callable
from typing import Any, Final, NoReturn

from audit.canonical import NotCanonical, canonical

Json = Any

#: An integer of more digits may be one that is not written so, or that a double does not keep.
_SURE_DIGITS: Final = 15


class _Unsure(Exception):
    """The text holds a number that takes the exact way."""


def _unsure(text: str) -> NoReturn:
    raise _Unsure


def _integer(text: str) -> int:
    if len(text) > _SURE_DIGITS:
        raise _Unsure
    return int(text)


#: Of (text, at): the value that begins there, and where it ends; `StopIteration` where none begins.
_scan: Callable[[str, int], tuple[Json, int]] = vars(
    json.JSONDecoder(parse_float=_unsure, parse_constant=_unsure, parse_int=_integer)
)["scan_once"]

_encoder = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _fast_encode() -> Callable[[Json], str]:
    """Return the encoder's `encode`, without making its C part anew for each value, where there is one."""
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return _encoder.encode
    string = json.encoder.encode_basestring
    encode = make(None, _encoder.default, string, None, ":", ",", True, False, False)
    return lambda value: "".join(encode(value, 0))


_encode = _fast_encode()


def read_canonical(data: bytes) -> Json:
    """Return the value whose RFC 8785 form these bytes are. Raises `ValueError` when they are none.

    The fast way is the C decoder and encoder, there and back: exact for ASCII without fractions and long integers.
    """
    try:
        text = data.decode()
        if text.isascii():
            value, end = _scan(text, 0)
            if end == len(text) and _encode(value) == text:
                return value
    except (_Unsure, StopIteration, RecursionError):
        pass
    value = read(data)
    try:
        if canonical(value).encode() == data:
            return value
    except NotCanonical as error:
        raise ValueError(str(error)) from error
    raise ValueError("It is not written as RFC 8785 has it.")


def read(data: bytes) -> Json:
    """Return the JSON value. Raises `ValueError`, also for an object that holds a key twice."""
    try:
        return json.loads(data, object_pairs_hook=_once)
    except RecursionError as error:
        raise ValueError("It is nested too deeply.") from error


def _once(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("An object holds a key twice.")
    return found
