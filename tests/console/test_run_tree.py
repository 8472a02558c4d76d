"""The tree of runs on a run's page."""

import re

from django.template.loader import render_to_string

from agents.actions.runs import Request, submit
from console import run_tree, run_view
from console.members import Member
from db.scope import tenant_scope
from tenants.models import Tenant, User
from tests.console.conftest import signed_in
from tests.worlds import World


def test_page_of_each_run_shows_the_whole_tree_and_where_one_is(acme: World) -> None:
    root = acme.submit("refund-desk", {})
    first, second = (
        submit(Request(agent="refund-desk", input={}), acting_as=acme.alice, parent=root.id).run for _ in range(2)
    )
    below = submit(Request(agent="refund-desk", input={}), acting_as=acme.alice, parent=first.id).run
    with tenant_scope(acme.tenant_id):
        tree = run_tree.tree_of(below)
        assert tree is not None
        assert [(line.id, line.depth) for line in tree.lines] == [
            (root.id, 0),
            (first.id, 1),
            (below.id, 2),
            (second.id, 1),
        ]
        assert [line.id for line in tree.lines if line.is_here] == [below.id]
        member = Member(Tenant.objects.get(id=acme.tenant_id), User.objects.get(id=acme.alice.user_id), acme.alice)
        changes, _ = run_view.changes_context(member, acme.run(first.id), 0)
        assert str(below.id) in render_to_string("console/runs/_live_steps.html", {**changes, "csrf_token": "x"})
    alice, path = signed_in(acme, "alice"), f"/{acme.slug}/runs/{below.id}/"
    page = alice.get(path).content.decode()
    assert f'href="/{acme.slug}/runs/{root.id}/"' in page
    [shown] = re.findall(r'tree/" hx-vals=\'{"shown": "(\w+)"}', page)
    assert alice.get(f"{path}tree/", {"shown": shown}).status_code == 204
    assert "Runs it belongs to" in page
    top = alice.get(f"/{acme.slug}/runs/{root.id}/").content.decode()
    assert ("Runs that it started" in top, "Runs it belongs to" in top) == (True, False)


def test_run_by_itself_has_no_tree(acme: World, globex: World) -> None:
    run = acme.submit("refund-desk", {})
    alice = signed_in(acme, "alice")
    page = alice.get(f"/{acme.slug}/runs/{run.id}/").content.decode()
    assert '<div id="run-tree" hidden></div>' in page  # where it comes to stand when the run starts another one
    assert alice.get(f"/{acme.slug}/runs/{run.id}/tree/").status_code == 404
    assert signed_in(globex, "alice").get(f"/{acme.slug}/runs/{run.id}/tree/").status_code == 404


def test_great_tree_is_cut_and_says_so(acme: World) -> None:
    root = acme.submit("refund-desk", {})
    with tenant_scope(acme.tenant_id):
        for _ in range(run_tree.MOST):
            submit(Request(agent="refund-desk", input={}), acting_as=acme.alice, parent=root.id)
        tree = run_tree.tree_of(root)
        assert tree is not None
        assert (len(tree.lines), tree.more) == (run_tree.MOST, True)
