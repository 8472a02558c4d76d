"""The kinds of documents. Each app that has some lists them as `KINDS` in its `configuration.py`."""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol

from django.apps import apps

from tenants.principal import Principal

Json = Any
Spec = Mapping[str, Json]

#: Kinds of the contract that a later version will know.
LATER = ("Suite",)


class Kind(Protocol):
    """A kind of document. All methods work inside the tenant's scope.

    name: the document's `kind`. rank: kinds are applied in ascending order, so that what others name is there first.
    """

    name: str
    rank: int

    def names(self) -> list[str]:
        """Return the names of what there is."""

    def current(self, name: str, *, publish: bool) -> Spec | None:
        """Return the `spec` that, applied with the same `publish`, changes nothing; None when there is none."""

    def put(
        self, name: str, spec: Spec, *, beside: Mapping[str, Spec], publish: bool, acting_as: Principal | str
    ) -> list[str]:
        """Make it so, and return what there is to say beyond the difference.

        beside: every document of this kind that is applied together, by name, not checked yet. Raises errors with
        `code`, and `InvalidDocument` with pointers into `spec`.
        """

    def broken(self, name: str) -> Iterator[tuple[str, str]]:
        """Yield (pointer, why) of what of the tenant no longer fits the document, once all are applied."""

    def mentions(self, spec: Spec) -> Iterator[tuple[str, str, str]]:
        """Yield (pointer, kind, name) of what the document names without needing it to be there."""


@cache
def kinds() -> Mapping[str, Kind]:
    """Return every kind by name."""
    found: list[Kind] = []
    for config in apps.get_app_configs():
        module = f"{config.name}.configuration"
        if find_spec(module) is not None:
            found += getattr(import_module(module), "KINDS", ())
    return {kind.name: kind for kind in sorted(found, key=lambda kind: kind.rank)}
