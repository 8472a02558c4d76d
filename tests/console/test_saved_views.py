"""Views of lists that a member saves: theirs alone, by name."""

import html
import re

from django.test import Client

from db.scope import tenant_scope
from tenants.actions import saved_views
from tenants.models import SavedView
from tests.console.conftest import signed_in
from tests.worlds import World


def save(client: Client, world: World, name: str, query: str, place: str = "runs") -> str:
    answer = client.post(f"/{world.slug}/views/save/", {"place": place, "name": name, "query": query}, follow=True)
    assert answer.status_code == 200
    return html.unescape(answer.content.decode())


def kept(world: World) -> list[tuple[str, str, str]]:
    with tenant_scope(world.tenant_id):
        return list(SavedView.objects.order_by("id").values_list("place", "name", "query"))


def test_a_view_is_saved_by_name_opened_and_forgotten(acme: World) -> None:
    alice = signed_in(acme, "alice")
    page = save(alice, acme, "ما فشل", "status=failed&agent=refund-desk&junk=1&before=x")
    assert f'href="/{acme.slug}/runs/?status=failed&agent=refund-desk"' in page
    assert "ما فشل" in page
    save(alice, acme, "mine", "view=risk&kind=output", "inbox")
    assert kept(acme) == [
        ("runs", "ما فشل", "status=failed&agent=refund-desk"),
        ("inbox", "mine", "view=risk&kind=output"),
    ]
    assert "mine" in alice.get(f"/{acme.slug}/inbox/").content.decode()
    save(alice, acme, "mine", "view=open", "inbox")
    assert kept(acme)[1] == ("inbox", "mine", "view=open")
    [forget, *_] = re.findall(rf"/{acme.slug}/views/[0-9a-f-]+/remove/", page)
    alice.post(forget)
    assert len(kept(acme)) == 1


def test_what_cannot_be_kept_is_said(acme: World) -> None:
    alice = signed_in(acme, "alice")
    assert "Give the view a name." in save(alice, acme, " ", "")
    for number in range(saved_views.MOST):
        saved_views.save("runs", str(number), "", acting_as=acme.alice)
    assert "At most 30 views" in save(alice, acme, "one more", "")


def test_nobody_else_sees_or_forgets_it(acme: World, globex: World) -> None:
    save(signed_in(acme, "alice"), acme, "only hers", "status=failed")
    with tenant_scope(acme.tenant_id):
        view = SavedView.objects.get()
    for world, name in ((acme, "rita"), (acme, "bob"), (globex, "alice")):
        client = signed_in(world, name)
        assert "only hers" not in client.get(f"/{world.slug}/runs/").content.decode()
        answer = client.post(f"/{world.slug}/views/{view.id}/remove/", follow=True)
        assert "You have no such view." in answer.content.decode()
    assert len(kept(acme)) == 1


def test_a_viewer_keeps_none_of_the_inbox(acme: World) -> None:
    sent = {"place": "inbox", "name": "x", "query": ""}
    assert signed_in(acme, "bob").post(f"/{acme.slug}/views/save/", sent).status_code == 403
