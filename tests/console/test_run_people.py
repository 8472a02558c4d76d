"""What people do about a run from its page: guide it, try it again; nothing is offered that one may not do."""

import re

from agents.models import Run
from audit import journal
from db.scope import tenant_scope
from tests.console import journals
from tests.console.conftest import signed_in
from tests.worlds import World


def begun(world: World) -> Run:
    run = world.submit("refund-desk", {"order": "1"})
    journals.begin(world, run.id)
    return run


def ended(world: World, end: str = "cancelled") -> Run:
    run = begun(world)
    with tenant_scope(world.tenant_id):
        Run.objects.filter(id=run.id).update(status=end)
    return run


def test_a_run_is_told_something_and_a_refusal_keeps_the_words(acme: World) -> None:
    run = begun(acme)
    alice, path = signed_in(acme, "alice"), f"/{acme.slug}/runs/{run.id}/"
    assert 'name="message"' in alice.get(f"{path}?do=guide").content.decode()
    assert alice.post(f"{path}guide/", {"message": "The statement is in the CRM."}).status_code == 302
    with tenant_scope(acme.tenant_id):
        assert journal.read(run.id)[-1].action == "run.guided"
        Run.objects.filter(id=run.id).update(status="completed")
    refused = alice.post(f"{path}guide/", {"message": "Too <late>"})
    assert refused.status_code == 409
    assert "Too &lt;late&gt;" in refused.content.decode()


def test_a_viewer_is_offered_nothing_and_refused(acme: World) -> None:
    run = begun(acme)
    bob, path = signed_in(acme, "bob"), f"/{acme.slug}/runs/{run.id}/"
    page = bob.get(f"{path}?do=guide").content.decode()
    for word in ("Guide", "Cancel run", "Try again", 'name="message"'):
        assert word not in page
    assert bob.post(f"{path}guide/", {"message": "x"}).status_code == 403
    assert bob.post(f"{path}again/", {"from": "start"}).status_code == 403


def test_a_run_is_tried_again_once_however_often_the_form_is_sent(acme: World) -> None:
    run = ended(acme)
    alice, path = signed_in(acme, "alice"), f"/{acme.slug}/runs/{run.id}/"
    [key] = re.findall(r'name="key" value="(\w+)"', alice.get(path).content.decode())
    sent = [alice.post(f"{path}again/", {"from": "start", "key": key})["Location"] for _ in range(2)]
    assert sent[0] == sent[1]
    with tenant_scope(acme.tenant_id):
        assert Run.objects.get(retry_of_id=run.id).id.hex in sent[0].replace("-", "")


def test_what_cannot_be_carried_on_says_why(acme: World) -> None:
    run = ended(acme)
    alice, path = signed_in(acme, "alice"), f"/{acme.slug}/runs/{run.id}/"
    page = alice.post(f"{path}again/", {"from": "step"}, follow=True).content.decode()
    assert "had not completed a step" in page
    with tenant_scope(acme.tenant_id):
        Run.objects.filter(id=run.id).update(status="completed")
    assert "there is no step to carry on from" in alice.get(path).content.decode()
    other = begun(acme)
    with tenant_scope(acme.tenant_id):
        Run.objects.filter(id=run.id).update(parent_id=other.id)
    assert "This run is part of another one" in alice.get(path).content.decode()


def test_another_tenants_run_is_one_that_does_not_exist(acme: World, globex: World) -> None:
    run, carol = begun(acme), signed_in(globex, "alice")
    for verb in ("guide", "again", "cancel"):
        assert carol.post(f"/{globex.slug}/runs/{run.id}/{verb}/", {"message": "x"}).status_code == 404
