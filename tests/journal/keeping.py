"""What comes before the actions on holds, erasures and terms, for the table."""

from functools import partial
from typing import Any

from agents.engine import about
from agents.models import Run, RunSubject
from db.scope import tenant_scope
from escalations.models import Escalation
from retention.actions import erasures, holds, orders, terms
from retention.actions.holds import Over
from retention.models import Order
from tenants.models import Role
from tenants.principal import Principal
from tests.journal.preparing import Call
from tests.journal.scene import Scene

Json = Any


def ask_hold(scene: Scene) -> Call:
    return partial(holds.ask, Over(subject="4711"), "a lawsuit", acting_as=scene.olga)


def ask_release(scene: Scene) -> Call:
    return partial(holds.release, _standing(scene).id, "settled", acting_as=scene.olga)


def ask_erasure(scene: Scene) -> Call:
    _about_somebody(scene)
    return partial(erasures.ask, "4711", "asked by letter", acting_as=scene.olga)


def ask_terms(scene: Scene) -> Call:
    return partial(terms.ask, {"runs": 400}, "policy", acting_as=scene.olga)


def confirm_hold(scene: Scene) -> Call:
    return _confirm(scene, holds.ask(Over(agent="agent"), "a lawsuit", acting_as=scene.olga))


def confirm_release(scene: Scene) -> Call:
    return _confirm(scene, holds.release(_standing(scene).id, "settled", acting_as=scene.olga))


def confirm_erasure(scene: Scene) -> Call:
    _about_somebody(scene)
    return _confirm(scene, erasures.ask("4711", "asked by letter", acting_as=scene.olga))


def confirm_terms(scene: Scene) -> Call:
    return _confirm(scene, terms.ask({"runs": 400}, "policy", acting_as=scene.olga))


def refuse(scene: Scene) -> Call:
    return partial(orders.refuse, ask_hold(scene)().id, acting_as=_cora(scene))


def _confirm(scene: Scene, order: Order) -> Call:
    return partial(orders.confirm, order.id, acting_as=_cora(scene))


def _standing(scene: Scene) -> Order:
    order: Order = ask_hold(scene)()
    return orders.confirm(order.id, acting_as=_cora(scene))


def _cora(scene: Scene) -> Principal:
    return scene.world.member("cora", Role.COMPLIANCE)


def _about_somebody(scene: Scene) -> None:
    """The tenant's run has ended, was asked nothing, and is about somebody."""
    with tenant_scope(scene.world.tenant_id):
        run = Run.objects.get()
        Escalation.objects.update(status="decided")
        Run.objects.filter(id=run.id).update(status="completed", ended_at=run.created_at)
        RunSubject.objects.create(run_id=run.id, digest=about.digests("4711")[0], key=1)
