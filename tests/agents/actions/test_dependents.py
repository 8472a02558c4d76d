"""A tool whose input schema changes, and the policies and grants that speak of its arguments."""

from typing import Any

import pytest

from agents.actions import grants, policies, tools
from agents.config.applying import apply, plan
from agents.config.errors import ConfigError
from agents.config.reading import read
from agents.errors import ToolBreaks
from audit.models import Record
from db.scope import tenant_scope
from tenants.models import User
from tests.api.conftest import caller
from tests.worlds import LOOKUP, PAY, World, world

pytestmark = pytest.mark.usefixtures("database")

Json = Any

LARGE = {"applies_to": {"tools": ["pay"]}, "when": "args.amount > 100", "then": "deny"}
ANY = {"applies_to": {"effects": ["read"]}, "when": "args.whatever == 1", "then": "deny"}
CENTS = {
    **PAY,
    "input_schema": {
        "type": "object",
        "properties": {"cents": {"type": "integer"}, "to": {"type": "string"}},
        "required": ["cents", "to"],
    },
}


@pytest.fixture
def acme(database: None) -> World:
    """A tenant with a payment that a policy and a grant's condition speak of, and a tool that nothing does."""
    made = world()
    with tenant_scope(made.tenant_id):
        tools.put("lookup", LOOKUP, acting_as=made.alice)
        tool = tools.put("pay", PAY, acting_as=made.alice).version.tool
        policies.put("large", LARGE, acting_as=made.alice)
        policies.put("reads", ANY, acting_as=made.alice)
        bob = User.objects.get(id=made.bob.user_id)
        grants.give(tool, "use", bob, condition="args.amount < 10", acting_as=made.alice)
    return made


def test_what_breaks_is_told_and_recorded(acme: World) -> None:
    with tenant_scope(acme.tenant_id):
        saved = tools.put("pay", CENTS, acting_as=acme.alice)
        record = Record.objects.filter(action="tool.changed").get()

    policy, grant = saved.breaks
    assert (policy.kind, policy.name, grant.kind) == ("policy", "large", "grant")
    assert "There is no args.amount" in policy.detail
    assert record.facts["breaks"] == 2


def test_what_is_refused_strictly_changes_nothing(acme: World) -> None:
    with tenant_scope(acme.tenant_id):
        before = Record.objects.count()
        with pytest.raises(ToolBreaks) as refused:
            tools.put("pay", CENTS, strict=True, acting_as=acme.alice)

        assert [error["pointer"] for error in refused.value.errors] == ["/input_schema"] * 2
        assert tools.by_name("pay").live.document == PAY  # type: ignore[union-attr]
        assert Record.objects.count() == before


@pytest.mark.parametrize("name", ["pay", "lookup"])
def test_a_change_that_nothing_minds_breaks_nothing(acme: World, name: str) -> None:
    spec = {**{"pay": PAY, "lookup": LOOKUP}[name], "description": "Another one."}
    with tenant_scope(acme.tenant_id):
        assert tools.put(name, spec, strict=True, acting_as=acme.alice).breaks == ()


def test_grants_that_come_with_the_definition_are_checked_with_it(acme: World) -> None:
    with tenant_scope(acme.tenant_id):
        policies.delete("large", acting_as=acme.alice)
        entry = {"user": f"bob@{acme.slug}.example", "permission": "use", "condition": "args.cents < 10"}
        assert tools.put("pay", {**CENTS, "grants": [entry]}, strict=True, acting_as=acme.alice).breaks == ()


def test_over_rest_the_answer_says_so_and_strict_refuses(acme: World) -> None:
    alice, bob = caller(acme, acme.alice), caller(acme, acme.bob)
    carol = world()
    tag = str(alice.get("tools/pay").headers["ETag"])

    refused = alice.put("tools/pay", {"spec": CENTS, "strict": True}, If_Match=tag)
    assert (refused.status, refused.code, refused.pointers) == (409, "tool_breaks", ["/spec/input_schema"] * 2)
    assert bob.put("tools/pay", {"spec": CENTS}, If_Match=tag).status == 403
    assert caller(carol, carol.alice).put("tools/pay", {"spec": CENTS}, If_Match=tag).status == 412
    told = alice.put("tools/pay", {"spec": CENTS}, If_Match=tag)
    assert (told.status, [each["kind"] for each in told.json["breaks"]]) == (200, ["policy", "grant"])
    assert "example" not in str(told.json["breaks"])
    assert "breaks" not in alice.get("tools/pay").json
    assert told.headers["ETag"] == alice.get("tools/pay").headers["ETag"]


def document(kind: str, name: str, spec: Json) -> str:
    import yaml

    return yaml.safe_dump({"apiVersion": "countersign/v1", "kind": kind, "metadata": {"name": name}, "spec": spec})


def test_a_plan_warns_of_it_and_a_strict_one_refuses(acme: World) -> None:
    texts = list(read(document("Tool", "pay", CENTS), "pay.yaml"))
    with tenant_scope(acme.tenant_id):
        warnings = [str(each) for each in plan(texts, publish=False, acting_as=acme.alice).warnings]
        assert len(warnings) == 2
        assert "pay.yaml:" in warnings[0]
        assert "policy large: There is no args.amount" in warnings[0]
        with pytest.raises(ConfigError, match="policy large"):
            plan(texts, publish=False, strict=True, acting_as=acme.alice)


def test_what_the_same_files_mend_is_not_broken(acme: World) -> None:
    mended = document("Policy", "large", {**LARGE, "when": "args.cents > 10000"})
    entry = {"user": f"bob@{acme.slug}.example", "permission": "use"}
    both = document("Tool", "pay", {**CENTS, "grants": [entry]}) + "---\n" + mended
    with tenant_scope(acme.tenant_id):
        assert apply(list(read(both, "x.yaml")), publish=False, strict=True, acting_as=acme.alice).warnings == []
