"""Alice works here, Bob only watches, Carol works elsewhere, and strangers sign in first."""

from uuid import uuid4

import pytest
from django.test import Client

from tests.console import journals
from tests.console.conftest import signed_in
from tests.worlds import World


def pages(world: World, run: object) -> list[str]:
    base = f"/{world.slug}/runs/"
    return [base, f"{base}{run}/", f"{base}{run}/events/", f"{base}{run}/events/1/", f"{base}{run}/steps/1/"]


def test_member_opens_every_page(acme: World) -> None:
    run = acme.submit("refund-desk", {"order": "88213"})
    alice = signed_in(acme, "alice")
    assert [alice.get(page).status_code for page in pages(acme, run.id)] == [200] * 5


def test_stranger_is_sent_to_sign_in_and_comes_back(acme: World) -> None:
    answer = Client().get(f"/{acme.slug}/runs/?status=failed")
    assert answer.status_code == 302
    assert answer["Location"] == f"/accounts/login/?next=/{acme.slug}/runs/%3Fstatus%3Dfailed"


def test_stranger_learns_nothing_about_which_tenants_exist(acme: World) -> None:
    there, nowhere = Client().get(f"/{acme.slug}/"), Client().get("/nobody-here/")
    assert (there.status_code, nowhere.status_code) == (302, 302)


def test_swap_inside_a_page_takes_the_whole_page_to_sign_in(acme: World) -> None:
    address = f"http://testserver/{acme.slug}/runs/"
    answer = Client().get(f"/{acme.slug}/runs/", headers={"HX-Request": "true", "HX-Current-URL": address})
    assert answer.status_code == 204
    assert answer["HX-Redirect"] == f"/accounts/login/?next=/{acme.slug}/runs/"


def test_other_tenant_is_the_same_404_as_a_tenant_that_does_not_exist(acme: World, globex: World) -> None:
    run = acme.submit("refund-desk", {"order": "88213"})
    carol = signed_in(globex, "alice")
    nowhere = carol.get("/nobody-here/runs/")
    assert nowhere.status_code == 404
    for page in pages(acme, run.id):
        answer = carol.get(page)
        assert (answer.status_code, answer.content) == (404, nowhere.content)


def test_other_tenants_run_is_the_same_404_as_a_run_that_does_not_exist(acme: World, globex: World) -> None:
    run = acme.submit("refund-desk", {"order": "88213"})
    carol = signed_in(globex, "alice")
    for its, nones in zip(pages(globex, run.id)[1:], pages(globex, uuid4())[1:], strict=True):
        theirs, none = carol.get(its), carol.get(nones)
        assert theirs.status_code == none.status_code == 404
        assert theirs.content == none.content


def test_list_holds_the_tenants_own_runs_only(acme: World, globex: World) -> None:
    theirs, ours = acme.submit("refund-desk", {"order": "1"}), globex.submit("refund-desk", {"order": "2"})
    shown = signed_in(globex, "alice").get(f"/{globex.slug}/runs/").content.decode()
    assert str(ours.id) in shown
    assert str(theirs.id) not in shown


@pytest.mark.parametrize("page", ["", "events/", "?step=5", "events/1/", "steps/4/", "steps/13/"])
def test_viewer_sees_that_it_happened_and_not_what_was_said(acme: World, page: str) -> None:
    run = acme.submit("refund-desk", {"order": "private-input"})
    journals.refund(acme, run.id)
    bob = signed_in(acme, "bob").get(f"/{acme.slug}/runs/{run.id}/{page}")
    alice = signed_in(acme, "alice").get(f"/{acme.slug}/runs/{run.id}/{page}")
    assert bob.status_code == alice.status_code == 200
    for secret in ("private-input", "1240.00", "Maren Vogt", "I look up the order", "No answer within", "0.71"):
        assert secret not in bob.content.decode()


def test_viewer_is_told_why_something_is_missing(acme: World) -> None:
    run = acme.submit("refund-desk", {"order": "88213"})
    journals.refund(acme, run.id)
    shown = signed_in(acme, "bob").get(f"/{acme.slug}/runs/{run.id}/?step=4").content.decode()
    assert "Your role sees that this happened, not what was said or passed." in shown
    assert "Your role sees that a person is asked, not what about." in shown


def test_member_whose_membership_ended_sees_nothing_any_more(acme: World) -> None:
    from db.scope import tenant_scope
    from tenants.models import Membership

    rita = signed_in(acme, "rita")
    assert rita.get(f"/{acme.slug}/runs/").status_code == 200
    with tenant_scope(acme.tenant_id):
        Membership.objects.filter(user_id=acme.rita.user_id).delete()
    assert rita.get(f"/{acme.slug}/runs/").status_code == 404


def test_policy_allows_nothing_unsafe_and_nothing_is_inline(acme: World) -> None:
    run = acme.submit("refund-desk", {"order": "88213"})
    alice = signed_in(acme, "alice")
    for page in [*pages(acme, run.id)[:3], "/?choose"]:
        answer = alice.get(page)
        assert "unsafe" not in answer["Content-Security-Policy"]
        shown = answer.content.decode()
        assert " style=" not in shown
        assert "<style" not in shown
        assert " onclick=" not in shown
