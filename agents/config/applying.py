"""Apply documents, all or nothing; plan them, which is to apply them and take it back."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from typing import Any

from django.db import transaction

from access.acting import acting
from access.errors import AccessDenied
from agents.config.errors import ConfigError, Fault
from agents.config.kinds import LATER, Kind, kinds
from agents.config.reading import Text
from agents.config.writing import API_VERSION, document, written
from agents.core.wording import meant
from agents.errors import AgentError
from audit import journal
from db.scope import current_tenant_id
from tenants.errors import TenantError
from tenants.principal import Principal

Json = Any
Spec = Mapping[str, Json]

_KEYS = ("apiVersion", "kind", "metadata", "spec")


@dataclass(frozen=True, slots=True)
class Change:
    """What applying one document changes. before: None when it is new. notes: what the difference does not show."""

    kind: str
    name: str
    before: Spec | None
    after: Spec
    notes: Sequence[str] = ()

    def __str__(self) -> str:
        """Return a heading and the difference, as `diff -u` writes it."""
        heading = f"{'+' if self.before is None else '~'} {self.kind} {self.name}"
        notes = f" ({', '.join(self.notes)})" if self.notes else ""
        return "\n".join([heading + notes, *unified_diff(self._text(self.before), self._text(self.after), lineterm="")])

    def _text(self, spec: Spec | None) -> list[str]:
        return [] if spec is None else written(document(self.kind, self.name, spec)).splitlines()


@dataclass(frozen=True, slots=True)
class Applied:
    """What was, or would be, changed. warnings: what the documents name and nobody made yet, and what they break."""

    changes: Sequence[Change]
    warnings: Sequence[Fault]


@dataclass(frozen=True, slots=True)
class _Document:
    text: Text
    kind: Kind
    name: str
    spec: Json

    def fault(self, pointer: str, detail: str) -> Fault:
        return Fault(self.text.file, self.text.line(pointer), f"{self.kind.name} {self.name}: {detail}")


def apply(texts: Sequence[Text], *, publish: bool, acting_as: Principal | str, strict: bool = False) -> Applied:
    """Make the tenant in scope what the documents say, in one transaction; what no document names stays as it is.

    publish: whether agents go live; otherwise they become drafts. strict: whether what breaks something of the tenant's
    is refused, rather than warned of. Raises `ConfigError` with every fault found.
    """
    documents = _documents(texts)
    with transaction.atomic():
        changes: list[Change] = []
        for kind in kinds().values():
            changes += _apply_kind(kind, [each for each in documents if each.kind is kind], publish, acting_as)
        broken = list(_broken([each for each in documents if (each.kind.name, each.name) in _named(changes)]))
        if broken and strict:
            raise ConfigError(*broken)
        return Applied(changes, [*_warnings(documents), *broken])


def plan(texts: Sequence[Text], *, publish: bool, acting_as: Principal | str, strict: bool = False) -> Applied:
    """Say what `apply` would change, by doing it and rolling it back. Raises what `apply` raises."""
    with transaction.atomic():
        applied = apply(texts, publish=publish, acting_as=acting_as, strict=strict)
        transaction.set_rollback(True)
    return applied


def export(*, acting_as: Principal | str) -> str:
    """Return everything in the tenant's scope as documents that, applied again, change nothing; leaves a record.

    Raises what `acting` raises for `agents:read`.
    """
    with acting(acting_as, "agents:read") as actor:
        documents = [
            written(document(kind.name, name, spec))
            for kind in kinds().values()
            for name in kind.names()
            if (spec := kind.current(name, publish=False)) is not None
        ]
        facts = {"documents": len(documents)}
        journal.record("config.exported", stream=current_tenant_id(), actor=actor, facts=facts)
    return "---\n".join(documents)


def _apply_kind(
    kind: Kind, documents: Sequence[_Document], publish: bool, acting_as: Principal | str
) -> Iterator[Change]:
    beside = {each.name: each.spec for each in documents}
    faults: list[Fault] = []
    for each in _arranged(kind, documents, beside):
        before = kind.current(each.name, publish=publish)
        try:
            notes = kind.put(each.name, each.spec, beside=beside, publish=publish, acting_as=acting_as)
        except (AgentError, TenantError, AccessDenied) as error:
            faults += _faults(each, error)
            continue
        after = kind.current(each.name, publish=publish)
        if after is not None and (notes or before != after):
            yield Change(kind.name, each.name, before, after, notes)
    if faults:
        # The kinds that come after would only repeat that these are missing.
        raise ConfigError(*faults)


def _arranged(kind: Kind, documents: Sequence[_Document], beside: Mapping[str, Spec]) -> list[_Document]:
    """Return the documents in the order of the files, or in that which their kind wants."""
    arrange: Callable[[Mapping[str, Spec]], list[str]] = getattr(kind, "arranged", list)
    by_name = {each.name: each for each in documents}
    return [by_name[name] for name in arrange(beside)]


def _faults(each: _Document, error: AgentError | TenantError | AccessDenied) -> Iterator[Fault]:
    found = error.errors if isinstance(error, AgentError) else []
    for one in found:
        where = f"{one['pointer']}: " if one["pointer"] else ""
        yield each.fault("/spec" + one["pointer"], where + one["detail"])
    if not found:
        yield each.fault("/metadata/name", str(error))


def _warnings(documents: Sequence[_Document]) -> Iterator[Fault]:
    for each in documents:
        for pointer, kind, name in each.kind.mentions(each.spec):
            if name not in kinds()[kind].names():
                yield each.fault("/spec" + pointer, f"there is no {kind} {name} yet.")


def _broken(documents: Sequence[_Document]) -> Iterator[Fault]:
    for each in documents:
        for pointer, why in each.kind.broken(each.name):
            yield each.fault("/spec" + pointer, f"this no longer fits it: {why}")


def _named(changes: Sequence[Change]) -> set[tuple[str, str]]:
    return {(change.kind, change.name) for change in changes}


def _documents(texts: Sequence[Text]) -> list[_Document]:
    faults: list[Fault] = []
    found: dict[tuple[str, str], _Document] = {}
    for text in texts:
        wrong = _envelope_fault(text)
        if wrong is not None:
            faults.append(Fault(text.file, text.line(wrong[0]), wrong[1]))
            continue
        each = _Document(text, kinds()[text.value["kind"]], text.value["metadata"]["name"], text.value["spec"])
        first = found.setdefault((each.kind.name, each.name), each)
        if first is not each:
            there = f"{first.text.file}:{first.text.line('/metadata/name')}"
            faults.append(each.fault("/metadata/name", f"this is defined at {there} already."))
    if faults:
        raise ConfigError(*faults)
    return list(found.values())


def _envelope_fault(text: Text) -> tuple[str, str] | None:
    """Return (pointer, detail) of what is wrong around the `spec`, or None."""
    value = text.value
    if not isinstance(value, dict):
        return "", "A document is a mapping with apiVersion, kind, metadata and spec."
    for key in value:
        if key not in _KEYS:
            return f"/{key}", f"{key} is not known here.{meant(key, _KEYS) or ' Known: ' + ', '.join(_KEYS) + '.'}"
    if value.get("apiVersion") != API_VERSION:
        return "/apiVersion", f"Write apiVersion: {API_VERSION}."
    kind = value.get("kind")
    if kind in LATER:
        return "/kind", f"Documents of kind {kind} are not available in this version."
    if not isinstance(kind, str) or kind not in kinds():
        return "/kind", f"{kind} is not a kind.{meant(str(kind), kinds())} Known: {', '.join(kinds())}."
    metadata = value.get("metadata")
    if not isinstance(metadata, dict) or list(metadata) != ["name"] or not isinstance(metadata["name"], str):
        return "/metadata", "metadata holds the name, a text, and nothing else."
    if not isinstance(value.get("spec"), dict):
        return "/spec", "spec must be given, as a mapping."
    return None
