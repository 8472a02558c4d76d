"""Applying documents: all or nothing, again without a change, and a plan that is the truth."""

from typing import Any

import pytest

from access import grants
from agents.actions import agents, tools, versions
from agents.config.applying import Applied, apply, export, plan
from agents.config.errors import ConfigError
from agents.config.reading import read
from audit.models import Record
from db.scope import tenant_scope
from escalations.models import Queue
from tenants.actions import teams
from tenants.principal import COMMAND
from tests.worlds import World, world

pytestmark = pytest.mark.usefixtures("database")

FILE = """
apiVersion: countersign/v1
kind: Agent
metadata: {name: loan-review}
spec:
  role: Loan reviewer.
  model: {id: claude-opus-4-7}
  tools: [fetch, escalate_to_human]
  output_schema: {type: object, properties: {reason: {type: string}, decision: {enum: [approve, reject]}}}
  review: {queue: credit}
  limits: {usd: "0.50"}
---
apiVersion: countersign/v1
kind: Tool
metadata: {name: fetch}
spec:
  description: Fetch a customer.
  type: http
  http: {url: "https://crm.example/{id}", headers: {Authorization: "Bearer secret:crm_token"}}
  input_schema: {type: object, properties: {id: {type: string}}, required: [id]}
  fallback: fetch_backup
  grants: [{team: credit, permission: use}]
---
apiVersion: countersign/v1
kind: Tool
metadata: {name: fetch_backup}
spec:
  description: Fetch a customer from the archive.
  type: http
  http: {url: "https://archive.example/{id}"}
  input_schema: {type: object, properties: {id: {type: string}}, required: [id]}
---
apiVersion: countersign/v1
kind: Queue
metadata: {name: credit}
spec: {members: [rita@SLUG.example], teams: [credit], due_s: 14400}
---
apiVersion: countersign/v1
kind: DataSource
metadata: {name: sales}
spec: {engine: sqlite, url: sales.db}
"""


def granting(entries: str) -> str:
    """Return the file with other grants on the tool."""
    return FILE.replace("{team: credit, permission: use}", entries)


@pytest.fixture
def here() -> World:
    made = world()
    teams.put(tenant_id=made.tenant_id, slug="credit", emails=[f"bob@{made.slug}.example"], acting_as=COMMAND)
    return made


def do(action: Any, here: World, text: str = FILE, *, publish: bool = False) -> Applied:
    with tenant_scope(here.tenant_id):
        done: Applied = action(
            list(read(text.replace("SLUG", here.slug), "a.yaml")), publish=publish, acting_as=COMMAND
        )
        return done


def faults(here: World, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        do(apply, here, text)
    return str(caught.value).splitlines()


def count(here: World) -> int:
    with tenant_scope(here.tenant_id):
        return Record.objects.count()


def test_everything_in_a_file_comes_to_be_whatever_its_order(here: World) -> None:
    applied = do(apply, here)

    assert [(change.kind, change.name, change.before) for change in applied.changes] == [
        ("DataSource", "sales", None),
        ("Queue", "credit", None),
        ("Tool", "fetch", None),
        ("Tool", "fetch_backup", None),
        ("Agent", "loan-review", None),
    ]
    assert applied.warnings == []
    with tenant_scope(here.tenant_id):
        agent = agents.by_slug("loan-review")
        assert agent.draft["role"] == "Loan reviewer."
        assert agent.live is None
        assert grants.held(here.bob, "use", tools.by_name("fetch"))


def test_publishing_lets_agents_go_live(here: World) -> None:
    applied = do(apply, here, publish=True)

    assert applied.changes[-1].notes == ["version 1 goes live"]
    with tenant_scope(here.tenant_id):
        agent = agents.by_slug("loan-review")
        assert agent.live is not None
        assert [tool["name"] for tool in agent.live.compiled["tools"]] == ["fetch", "fetch_backup"]
        assert agent.draft is None


@pytest.mark.parametrize("publish", [False, True])
def test_applied_again_nothing_changes(here: World, publish: bool) -> None:
    do(apply, here, publish=publish)
    before = count(here)

    again = do(apply, here, publish=publish)

    assert again.changes == []
    assert count(here) == before


def test_a_plan_says_what_apply_does_and_does_nothing(here: World) -> None:
    before = count(here)
    planned = do(plan, here, publish=True)

    assert count(here) == before
    assert planned == do(apply, here, publish=True)
    assert do(plan, here, publish=True).changes == []


def test_the_difference_is_readable(here: World) -> None:
    do(apply, here)

    (change,) = do(plan, here, FILE.replace("Fetch a customer.", "Fetch one customer.")).changes

    text = str(change)
    assert text.startswith("~ Tool fetch (version 2)\n")
    assert "\n-  description: Fetch a customer.\n+  description: Fetch one customer.\n" in text


def test_a_draft_is_not_live_so_publishing_is_a_change(here: World) -> None:
    do(apply, here)

    assert [change.notes for change in do(plan, here, publish=True).changes] == [["version 1 goes live"]]


def test_a_changed_tool_is_published_with_the_agents_that_pin_it(here: World) -> None:
    do(apply, here, publish=True)
    changed = FILE.replace("from the archive", "from the old archive")

    applied = do(apply, here, changed, publish=True)

    assert [(change.name, *change.notes) for change in applied.changes] == [
        ("fetch_backup", "version 2"),
        ("loan-review", "version 2 goes live"),
    ]


def test_after_a_rollback_the_file_is_published_again(here: World) -> None:
    do(apply, here, publish=True)
    newer = FILE.replace("Loan reviewer.", "Loan judge.")
    do(apply, here, newer, publish=True)
    versions.rollback(here.agent("loan-review"), acting_as=here.alice)

    assert do(plan, here, newer).changes == []
    assert do(plan, here, publish=True).changes == []
    assert [change.notes for change in do(apply, here, newer, publish=True).changes] == [["version 2 goes live"]]


def test_one_fault_anywhere_and_nothing_is_made(here: World) -> None:
    before = count(here)

    found = faults(here, FILE.replace("id: claude-opus-4-7", "id: claude opus"))

    assert len(found) == 1
    assert found[0].startswith('a.yaml:7: Agent loan-review: /model/id: "claude opus" does not have the right form')
    assert count(here) == before
    with tenant_scope(here.tenant_id):
        assert not Queue.objects.exists()


def test_every_fault_of_a_kind_is_told_with_its_line(here: World) -> None:
    broken = FILE.replace("type: http\n", "type: htp\n").replace("  input_schema", "  inputs_schema")

    assert [line.split(". ")[0] for line in faults(here, broken)] == [
        "a.yaml:20: Tool fetch: /inputs_schema: inputs_schema is not known here",
        "a.yaml:18: Tool fetch: /type: Write one of http, mcp, python, sql, agent",
        "a.yaml:31: Tool fetch_backup: /inputs_schema: inputs_schema is not known here",
        "a.yaml:29: Tool fetch_backup: /type: Write one of http, mcp, python, sql, agent",
    ]


def test_fallbacks_that_change_places_are_judged_by_the_end(here: World) -> None:
    do(apply, here)
    swapped = FILE.replace("  fallback: fetch_backup\n", "").replace(
        "description: Fetch a customer from the archive.",
        "description: Fetch a customer from the archive.\n  fallback: fetch",
    )

    assert [change.name for change in do(apply, here, swapped).changes] == ["fetch", "fetch_backup"]


def test_a_circle_of_fallbacks_is_refused(here: World) -> None:
    circle = FILE.replace(
        "description: Fetch a customer from the archive.",
        "description: Fetch a customer from the archive.\n  fallback: fetch",
    )

    assert all("in a circle" in line for line in faults(here, circle))


def test_what_a_document_names_and_nobody_made_is_a_warning(here: World) -> None:
    applied = do(apply, here, FILE.replace("review: {queue: credit}", "review: {queue: leads}"))

    assert [str(warning) for warning in applied.warnings] == [
        "a.yaml:10: Agent loan-review: there is no Queue leads yet."
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- a", "a.yaml:1: A document is a mapping"),
        ("apiVersion: v2", "a.yaml:1: Write apiVersion: countersign/v1."),
        ("apiVersion: countersign/v1\nkind: Tol", "a.yaml:2: Tol is not a kind. Did you mean Tool?"),
        ("apiVersion: countersign/v1\nkind: Suite", "Documents of kind Suite are not available in this version."),
        ("apiVersion: countersign/v1\nkind: Tool\nmetadata: {name: 1}", "a.yaml:3: metadata holds the name"),
        ("apiVersion: countersign/v1\nkind: Tool\nmetadata: {name: a}", "a.yaml:1: spec must be given"),
        ("apiVersion: countersign/v1\nkind: Tool\nspecs: {}", "a.yaml:3: specs is not known here. Did you mean spec?"),
        (FILE.replace("kind: Tool", "kind: Tool\nstatus: x", 1), "status is not known here."),
        (FILE.replace("type: http", "type: agent", 1), "A tool of type agent needs the block agent."),
        (FILE.replace("{team: credit,", "{team: nobody,"), "Tool fetch: /grants/0/team: There is no team 'nobody'."),
        (
            granting("{team: credit, permission: use, condition: args.ib == '1'}"),
            "/grants/0/condition: There is no args.ib. Known: id.",
        ),
        (granting("{team: credit, permission: use, condition: ''}"), "Tool fetch: /grants/0/condition: This must not"),
        (granting("{team: credit, user: a@b.example, permission: use}"), "Give one of team, user, not more."),
        (granting("{permission: use, condition: 'true'}"), "Give one of team, user, not more."),
        (
            granting("{team: credit, permission: use}, {team: credit, permission: use, condition: 'true'}"),
            "Tool fetch: /grants/1: The same holder and permission stand here twice, with different conditions",
        ),
        (
            FILE.replace(
                "  role: Loan reviewer.",
                "  role: Loan reviewer.\n  grants: [{team: credit, permission: run, condition: 'true'}]",
            ),
            "condition is not known here.",
        ),
        (FILE.replace("rita@", "nobody@"), "Queue credit: /members/0: nobody@"),
        (FILE.replace("name: fetch_backup", "name: fetch"), "Tool fetch: this is defined at a.yaml:15 already."),
    ],
)
def test_bad_documents_are_refused(here: World, text: str, words: str) -> None:
    assert words in "\n".join(faults(here, text))


def test_a_condition_is_planned_applied_and_exported(here: World) -> None:
    text = granting("{team: credit, permission: use, condition: 'args.id.startsWith(\"CUST-\")'}")
    do(apply, here)

    planned = do(plan, here, text)
    assert [(change.kind, change.name) for change in planned.changes] == [("Tool", "fetch")]
    assert "condition: args.id.startsWith" in str(planned.changes[0])
    do(apply, here, text)
    assert do(plan, here, text).changes == []
    with tenant_scope(here.tenant_id):
        [grant] = grants.of(tools.by_name("fetch"))
        assert grant.condition == 'args.id.startsWith("CUST-")'
        assert "condition: args.id.startsWith" in export(acting_as=COMMAND)
    do(apply, here)
    with tenant_scope(here.tenant_id):
        assert [each.condition for each in grants.of(tools.by_name("fetch"))] == [None]


@pytest.mark.parametrize("publish", [False, True])
def test_what_is_exported_applies_without_a_change(here: World, publish: bool) -> None:
    do(apply, here, publish=publish)
    with tenant_scope(here.tenant_id):
        text = export(acting_as=COMMAND)

    assert do(plan, here, text, publish=publish).changes == []
    assert "secret:crm_token" in text
    there = world()
    teams.put(tenant_id=there.tenant_id, slug="credit", emails=[], acting_as=COMMAND)
    do(apply, there, text.replace(here.slug, there.slug), publish=publish)
    with tenant_scope(there.tenant_id):
        assert export(acting_as=COMMAND) == text.replace(here.slug, there.slug)


def test_an_empty_tenant_exports_nothing(here: World) -> None:
    with tenant_scope(here.tenant_id):
        assert export(acting_as=COMMAND) == ""
