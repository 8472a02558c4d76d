"""What speaks of a tool's arguments from elsewhere, and no longer can when its input schema changes. Pure.

Tools that fall back on it or are undone by it are checked when it is saved, and refuse it (`partners`); an agent's
rules speak of results and are not typed. What is left are policies and the conditions of grants: they would go on to
hold for every call (a policy, which then asks or denies), or for none (a grant).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from agents.core import conditions, rules
from agents.core.document import tool_document

Json = Any
Spec = Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Break:
    """Something that cannot be understood any more. kind: `policy` or `grant`; name: its name, or id; detail: why."""

    kind: str
    name: str
    detail: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}: {self.detail}"

    def as_json(self) -> dict[str, str]:
        """Return `{kind, name, detail}`."""
        return {"kind": self.kind, "name": self.name, "detail": self.detail}


def breaks(name: str, spec: Spec, *, policies: Mapping[str, Spec], grants: Mapping[str, str]) -> Iterator[Break]:
    """Yield what no longer type-checks with the tool `name` defined as `spec`.

    policies: the tenant's, `spec` by name. grants: the conditions of the tool's grants, by the grant's id.
    """
    schema = tool_document(name, spec)["input_schema"]
    for policy, its in sorted(policies.items()):
        if name in its["applies_to"].get("tools", ()) and "when" in its:
            yield from _wrong("policy", policy, its["when"], schema, rules.APPROVAL)
    for grant, condition in sorted(grants.items()):
        yield from _wrong("grant", grant, condition, schema, rules.GRANT)


def _wrong(kind: str, name: str, expression: str, schema: Spec, names: tuple[str, ...]) -> Iterator[Break]:
    try:
        conditions.check(expression, schema, names=names)
    except rules.BadRule as error:
        yield Break(kind, name, " ".join(str(error).split()))
