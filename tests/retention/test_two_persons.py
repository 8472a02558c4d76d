"""Every hold, release, erasure and change of terms takes two persons, each with the right at that moment."""

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.db import DatabaseError, connection, connections, transaction

from access.errors import AccessDenied, MissingScope
from audit.models import Record
from db.errors import Refusal
from db.scope import tenant_scope
from retention import families
from retention.actions import erasures, holds, orders, terms
from retention.actions.holds import Over
from retention.errors import AlreadyDecided, AskerLeft, NotAPerson, SamePerson, UnknownOrder
from retention.models import Order
from tenants.actions import members, tenants
from tenants.models import Role
from tenants.principal import COMMAND, Principal
from tests.retention.conftest import Keep
from tests.worlds import world
from vault.ring import keyring

Ask = Callable[[Keep, Principal], Order]


def _release(keep: Keep, by: Principal) -> Order:
    hold = holds.ask(Over(agent="teller"), "a lawsuit", acting_as=keep.cora)
    orders.confirm(hold.id, acting_as=keep.carl)
    return holds.release(hold.id, "settled", acting_as=by)


def _erasure(keep: Keep, by: Principal) -> Order:
    keep.ended("4711")
    return erasures.ask("4711", "asked by letter", acting_as=by)


ASKING: dict[str, Ask] = {
    "hold": lambda keep, by: holds.ask(Over(subject="4711"), "a lawsuit", acting_as=by),
    "release": _release,
    "erasure": _erasure,
    "terms": lambda keep, by: terms.ask({"runs": 30}, "policy", acting_as=by),
}


@pytest.mark.parametrize("kind", ASKING)
def test_who_asked_does_not_confirm_and_another_person_does(keep: Keep, kind: str) -> None:
    order = ASKING[kind](keep, keep.cora)

    with pytest.raises(SamePerson):
        orders.confirm(order.id, acting_as=keep.cora)
    with pytest.raises(SamePerson):  # with another key of hers
        orders.confirm(order.id, acting_as=replace(keep.cora, scopes=frozenset({"audit:hold", "audit:erase"})))
    assert keep.order(order.id).status == "asked"

    assert orders.confirm(order.id, acting_as=keep.olga).status in {"confirmed", "released", "done"}
    with pytest.raises(AlreadyDecided):
        orders.confirm(order.id, acting_as=keep.carl)


@pytest.mark.parametrize("kind", ASKING)
def test_nobody_else_asks_or_confirms(keep: Keep, kind: str) -> None:
    order = ASKING[kind](keep, keep.cora)
    robot = replace(keep.carl, is_service=True)
    keyed = replace(keep.carl, scopes=frozenset({"audit:read"}))
    there = world()
    carol = there.member("carol", Role.OWNER)

    refused: list[tuple[Principal, type[Refusal]]] = [
        (keep.world.alice, AccessDenied),
        (keep.world.bob, AccessDenied),
        (keep.world.rita, AccessDenied),
        (robot, NotAPerson),
        (keyed, MissingScope),
        (carol, UnknownOrder),
    ]
    for who, error in refused:
        for verb in (orders.confirm, orders.refuse):
            with pytest.raises(error):
                verb(order.id, acting_as=who)
    for who, error in refused[:-1]:
        with pytest.raises(error):
            terms.ask({"runs": 30}, "policy", acting_as=who)
        with pytest.raises(error):
            holds.ask(Over(agent="teller"), "a lawsuit", acting_as=who)
        with pytest.raises(error):
            erasures.ask("4711", "asked by letter", acting_as=who)
    assert keep.order(order.id).status == "asked"


def test_who_asked_must_still_have_the_right_when_it_is_confirmed(keep: Keep) -> None:
    order = ASKING["erasure"](keep, keep.cora)
    tenant = tenants.by_slug(keep.world.slug)
    members.put(tenant=tenant, email=f"cora@{keep.world.slug}.example", role=Role.VIEWER, acting_as=COMMAND)

    with pytest.raises(AskerLeft):
        orders.confirm(order.id, acting_as=keep.carl)

    assert orders.refuse(order.id, acting_as=keep.carl).status == "refused"


def test_who_asked_takes_it_back_and_nothing_is_kept_of_the_subject(keep: Keep) -> None:
    order = ASKING["erasure"](keep, keep.cora)

    taken = orders.refuse(order.id, acting_as=keep.cora)

    assert (taken.status, taken.sealed_subject, keep.order(order.id).digests) == ("refused", "", None)
    with pytest.raises(AlreadyDecided):
        orders.confirm(order.id, acting_as=keep.carl)


def test_of_fifty_who_confirm_at_once_one_does(keep: Keep) -> None:
    order = ASKING["erasure"](keep, keep.cora)
    came: Counter[str] = Counter()
    begin = threading.Barrier(50)

    def confirm(by: Principal) -> None:
        begin.wait()
        try:
            orders.confirm(order.id, acting_as=by)
            came["confirmed"] += 1
        except Refusal as error:
            came[error.code] += 1
        finally:
            connections.close_all()

    threads = [threading.Thread(target=confirm, args=[(keep.carl, keep.olga)[n % 2]]) for n in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert came == {"confirmed": 1, "order_already_decided": 49}
    with tenant_scope(keep.world.tenant_id):
        assert Record.objects.filter(stream=order.id, action="erasure.confirmed").count() == 1


def test_what_two_persons_confirmed_stays_as_it_is_and_a_hold_until_two_release_it(keep: Keep) -> None:
    run = keep.ended("4711")
    hold = holds.ask(Over(subject="4711"), "a lawsuit", acting_as=keep.cora)
    orders.confirm(hold.id, acting_as=keep.carl)

    for change in (
        "status = 'released'",
        "status = 'done'",
        "status = 'refused'",
        "status = 'asked'",
        "kind = 'release'",
        "digests = '{}'",
        "digests = NULL",
        "until = now()",
        "decided_by_id = gen_random_uuid()",
    ):
        with (
            pytest.raises(DatabaseError, match="two persons"),
            transaction.atomic(),
            tenant_scope(keep.world.tenant_id),
            connection.cursor() as cursor,
        ):
            cursor.execute(f"UPDATE retention_order SET {change} WHERE id = %s", [hold.id])  # noqa: S608

    release = holds.release(hold.id, "settled", acting_as=keep.cora)
    with tenant_scope(keep.world.tenant_id):
        assert families.holds([run.id]) == [hold.id]
    assert orders.confirm(release.id, acting_as=keep.carl).status == "released"
    assert keep.order(hold.id).status == "released"


def test_the_database_takes_no_order_that_one_person_confirmed(keep: Keep) -> None:
    order = ASKING["hold"](keep, keep.cora)

    def write(statement: str, *values: Any) -> None:
        with transaction.atomic(), tenant_scope(keep.world.tenant_id), connection.cursor() as cursor:
            cursor.execute(statement, values)

    for statement in (
        "UPDATE retention_order SET status = 'confirmed', decided_by_id = asked_by_id WHERE id = %s",
        "UPDATE retention_order SET status = 'confirmed' WHERE id = %s",
    ):
        with pytest.raises(DatabaseError, match="two_persons_confirm"):
            write(statement, order.id)


def test_a_hold_whose_subject_nobody_can_read_any_more_is_released_all_the_same(keep: Keep) -> None:
    hold = ASKING["hold"](keep, keep.cora)
    orders.confirm(hold.id, acting_as=keep.carl)
    with tenant_scope(keep.world.tenant_id):
        lost = keyring().seal("4711", tenant_id=keep.world.tenant_id, name="another")
        Order.objects.filter(id=hold.id).update(sealed_subject=lost)

    release = holds.release(hold.id, "its key is lost", acting_as=keep.cora)

    assert orders.confirm(release.id, acting_as=keep.carl).status == "released"
    assert keep.order(hold.id).sealed_subject == ""
