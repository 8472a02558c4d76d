"""Webhooks as documents."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from agents.actions.checking import refuse
from agents.config.kinds import Kind
from agents.core.document import value_problems
from agents.core.schema import Problem, problems, validator
from tenants.principal import Principal
from webhooks.actions import endpoints
from webhooks.events import EVENTS, FORMS

Json = Any
Spec = Mapping[str, Json]

SHAPE: Final = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Webhook",
    "type": "object",
    "properties": {
        "url": {"type": "string", "maxLength": 2000},
        "events": {"type": "array", "uniqueItems": True, "items": {"enum": list(EVENTS)}},
        "form": {"enum": list(FORMS)},
        "secret": {"type": "string", "pattern": "^secret:[A-Za-z][A-Za-z0-9_-]{0,62}$"},
    },
    "required": ["url", "secret"],
    "additionalProperties": False,
}


class WebhookKind:
    """`Webhook`."""

    name = "Webhook"
    rank = 90

    def names(self) -> list[str]:
        return list(endpoints.named().values_list("name", flat=True))

    def current(self, name: str, *, publish: bool) -> Spec | None:
        endpoint = endpoints.named().filter(name=name).first()
        return endpoints.spec_of(endpoint) if endpoint is not None else None

    def put(
        self, name: str, spec: Spec, *, beside: Mapping[str, Spec], publish: bool, acting_as: Principal | str
    ) -> list[str]:
        wrong: list[Problem] = [*value_problems(spec)] or problems(validator(SHAPE), spec)
        refuse(wrong, f"The webhook {name} is not valid.")
        endpoints.put(name, spec, acting_as=acting_as)
        return []

    def broken(self, name: str) -> Iterator[tuple[str, str]]:
        return iter(())

    def mentions(self, spec: Spec) -> Iterator[tuple[str, str, str]]:
        yield from ()


KINDS: tuple[Kind, ...] = (WebhookKind(),)
