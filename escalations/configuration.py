"""Queues as documents."""

from collections.abc import Iterator, Mapping
from typing import Any

from agents.config.kinds import Kind
from escalations.actions import queues
from escalations.models import Queue
from tenants.principal import Principal

Json = Any
Spec = Mapping[str, Json]


class QueueKind:
    """`Queue`."""

    name = "Queue"
    rank = 20

    def names(self) -> list[str]:
        return list(Queue.objects.order_by("slug").values_list("slug", flat=True))

    def current(self, name: str, *, publish: bool) -> Spec | None:
        queue = Queue.objects.filter(slug=name).first()
        return queues.spec_of(queue) if queue is not None else None

    def put(
        self, name: str, spec: Spec, *, beside: Mapping[str, Spec], publish: bool, acting_as: Principal | str
    ) -> list[str]:
        queues.put(name, spec, acting_as=acting_as)
        return []

    def broken(self, name: str) -> Iterator[tuple[str, str]]:
        return iter(())

    def mentions(self, spec: Spec) -> Iterator[tuple[str, str, str]]:
        if spec.get("escalate_to") is not None:
            yield "/escalate_to", "Queue", spec["escalate_to"]


KINDS: tuple[Kind, ...] = (QueueKind(),)
