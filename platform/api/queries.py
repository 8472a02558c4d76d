"""Query parameters and pages.

A list is ordered newest first by keys that never change, and its cursor names the last row given out; so rows that are
added meanwhile neither repeat nor push out any other.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import quote

from django.core import signing
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest

from api.bodies import instant
from api.errors import BadCursor, Fault, InvalidBody, InvalidQuery

Json = Any
M = TypeVar("M", bound=Model)
T = TypeVar("T")

DEFAULT_LIMIT = 50
MAX_LIMIT = 200


class Query:
    """A request's query parameters; every one must be known, given once and read.

    prefix: before names of the caller's own. later: what a later version will know, and what is said of it until then.
    """

    def __init__(
        self,
        request: HttpRequest,
        known: Collection[str],
        *,
        prefix: str | None = None,
        later: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._values = {key: str(value) for key, value in request.GET.items()}
        for key, values in request.GET.lists():
            if key in later:
                raise _invalid(key, later[key])
            if key not in known and not (prefix and key.startswith(prefix) and len(key) > len(prefix)):
                raise _invalid(key, f"There is no such parameter; known are {', '.join(sorted(known))}.")
            if len(values) > 1:
                raise _invalid(key, "Give this once.")
            if "\0" in key or "\0" in values[0]:
                raise _invalid(key.replace("\0", ""), "This holds the character NUL.")
        self._prefix = prefix

    def text(self, key: str) -> str | None:
        """Return the parameter as it is, or None."""
        return self._values.get(key)

    def choice(self, key: str, choices: Collection[str]) -> str | None:
        """Return the parameter, one of `choices`; raises `InvalidQuery`."""
        value = self._values.get(key)
        if value is not None and value not in choices:
            raise _invalid(key, f"Use one of {', '.join(choices)}.")
        return value

    def matching(self, key: str, pattern: re.Pattern[str], detail: str) -> str | None:
        """Return the parameter, which has the form of `pattern`; raises `InvalidQuery` with `detail`."""
        value = self._values.get(key)
        if value is not None and not pattern.fullmatch(value):
            raise _invalid(key, detail)
        return value

    def number(self, key: str, default: int, *, minimum: int, maximum: int) -> int:
        """Return the parameter as an integer within bounds; raises `InvalidQuery`."""
        value = self._values.get(key)
        if value is None:
            return default
        if not (value.isascii() and value.isdigit() and len(value) < 16 and minimum <= int(value) <= maximum):
            raise _invalid(key, f"Use a whole number from {minimum} to {maximum}.")
        return int(value)

    def instant(self, key: str) -> datetime | None:
        """Return the parameter as a time; raises `InvalidQuery`. A `+` that nobody encoded is put back."""
        value = self._values.get(key)
        if value is None:
            return None
        try:
            return instant(value.replace(" ", "+"), "")
        except InvalidBody as error:
            raise _invalid(key, error.errors[0]["detail"]) from error

    def prefixed(self) -> dict[str, str]:
        """Return the parameters under the prefix, by what follows it."""
        prefix = self._prefix
        if prefix is None:
            return {}
        return {key.removeprefix(prefix): value for key, value in self._values.items() if key.startswith(prefix)}


def _invalid(key: str, detail: str) -> InvalidQuery:
    return InvalidQuery(faults=[Fault(f"/query/{quote(key, safe='')[:80]}", detail)])


class Page:
    """One page of a list, newest first.

    name: the list's name and its tenant, so that no cursor works elsewhere. by: the fields of the order, the last one
    unique.
    """

    def __init__(self, query: Query, *, name: str, by: Sequence[str] = ("id",)) -> None:
        self._limit = query.number("limit", DEFAULT_LIMIT, minimum=1, maximum=MAX_LIMIT)
        self._by = by
        self._signer = signing.Signer(salt=f"api.cursor.{name}")
        self._after = self._read(query.text("cursor"))

    def of(self, rows: "QuerySet[M]", render: Callable[[list[M]], list[Json]]) -> dict[str, Json]:
        """Return `{results, next}`."""
        return self.of_all([rows], render)

    def of_all(self, tables: "Iterable[QuerySet[Any]]", render: Callable[[list[Any]], list[Json]]) -> dict[str, Json]:
        """Return `{results, next}` of a list whose rows lie in several tables; of each no more than a page is read."""
        page: list[Any] = []
        for rows in tables:
            beyond = rows.filter(self._beyond(self._after)) if self._after else rows
            page += beyond.order_by(*(f"-{field}" for field in self._by))[: self._limit + 1]
        page.sort(key=lambda row: [getattr(row, field) for field in self._by], reverse=True)
        more = len(page) > self._limit
        page = page[: self._limit]
        return {"results": render(page), "next": self._cursor(page[-1]) if more else None}

    def of_found(
        self, find: "Callable[[str | None, int], list[M]]", render: Callable[[list[M]], list[Json]]
    ) -> dict[str, Json]:
        """Return `{results, next}` of rows that `find` gives: behind a value of the order's one field, so many."""
        page = find(self._after[0] if self._after else None, self._limit + 1)
        more = len(page) > self._limit
        page = page[: self._limit]
        return {"results": render(page), "next": self._cursor(page[-1]) if more else None}

    def of_values(self, values: "Sequence[T]", render: "Callable[[list[T]], list[Json]]") -> dict[str, Json]:
        """Return `{results, next}` of values that are no rows, sorted already by the one field of the order."""
        [field] = self._by
        rest = [each for each in values if not self._after or getattr(each, field) < self._after[0]]
        page = rest[: self._limit]
        more = len(rest) > self._limit
        return {"results": render(page), "next": self._cursor(page[-1]) if more else None}

    def _beyond(self, after: Sequence[str]) -> Q:
        beyond, level = Q(), Q()
        for field, value in zip(self._by, after, strict=True):
            beyond |= level & Q(**{f"{field}__lt": value})
            level &= Q(**{field: value})
        return beyond

    def _cursor(self, row: object) -> str:
        values = [getattr(row, field) for field in self._by]
        return self._signer.sign_object(
            [value.isoformat() if isinstance(value, datetime) else str(value) for value in values]
        )

    def _read(self, cursor: str | None) -> list[str]:
        if cursor is None:
            return []
        try:
            return list(self._signer.unsign_object(cursor))
        except (signing.BadSignature, ValueError) as error:
            raise BadCursor from error
