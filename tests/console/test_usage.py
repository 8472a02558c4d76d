"""Charts of what runs used, with a table of the same; budgets set in the browser."""

import html
import re

import pytest

from console.charts import ceiling, chart
from db.scope import tenant_scope
from quotas.models import Budget
from tests.console import journals
from tests.console.conftest import email, signed_in
from tests.worlds import World


def test_columns_stand_side_by_side_and_their_pieces_on_each_other() -> None:
    made = chart(["1 Nov", "2 Nov"], [[1, 1], []], str)
    assert [(column.x, column.width) for column in made.columns] == [(6.0, 38.0), (56.0, 38.0)]
    [first, second] = made.columns[0].pieces
    assert (first.series, first.y, first.height) == (1, 43.0, 43.0)
    assert (second.series, second.y) == (2, 0.0)
    assert made.columns[1].pieces == ()
    assert [line.words for line in made.lines] == ["0.0", "1.0", "2.0"]
    assert [(label.at, label.anchor) for label in made.labels] == [(0, "start"), (100, "end")]


def test_nothing_is_a_chart_without_columns() -> None:
    assert chart([], [], str).columns == ()
    assert chart(["1 Nov"], [[0]], str).lines == ()


@pytest.mark.parametrize(("value", "top"), [(0, 0), (0.093, 0.1), (1, 1), (1.1, 2), (4, 5), (501, 1000), (20, 20)])
def test_axis_ends_at_a_round_value(value: float, top: float) -> None:
    assert ceiling(value) == pytest.approx(top)


def test_each_way_of_adding_up_has_charts_of_cost_and_tokens_and_a_table(acme: World) -> None:
    run = acme.submit("refund-desk", {"order": "1"})
    journals.refund(acme, run.id)
    alice, path = signed_in(acme, "alice"), f"/{acme.slug}/usage/"
    by_day = alice.get(path).content.decode()
    assert by_day.count('role="img"') == 2
    assert by_day.count("<title>") == 1 + 2 * 31
    for way in ("agent", "user", "model"):
        page = alice.get(f"{path}?by={way}&days=7").content.decode()
        assert page.count('class="bars"') == 2
        assert '<th scope="row"' in page
        assert " style=" not in page


def test_an_empty_tenant_is_told_what_will_come(acme: World) -> None:
    assert "No run in these 30 days" in signed_in(acme, "alice").get(f"/{acme.slug}/usage/").content.decode()


def test_a_budget_is_set_changed_and_removed(acme: World) -> None:
    alice, base = signed_in(acme, "alice"), f"/{acme.slug}/usage/budgets/"
    given = {"name": "month", "of": "agent", "agent": "refund-desk", "window": "month", "usd": "200.00", "soft": "80"}
    assert alice.post(f"{base}new/", given).status_code == 302
    page = alice.get(f"/{acme.slug}/usage/").content.decode()
    assert "agent refund-desk" in page
    assert "of $200.00" in page
    form = alice.get(f"{base}month/").content.decode()
    [expected] = re.findall(r'name="expected" value="([^"]+)"', form)
    assert 'value="80"' in form
    changed = {"expected": html.unescape(expected), "usd": "", "tokens": "1,000,000"}
    assert alice.post(f"{base}month/", changed).status_code == 302
    stale = alice.post(f"{base}month/", changed | {"usd": "77.00", "tokens": ""})
    assert stale.status_code == 412
    assert 'value="77.00"' in stale.content.decode()
    assert "now 1000000" in stale.content.decode()
    with tenant_scope(acme.tenant_id):
        kept = Budget.objects.get(name="month")
        assert (kept.usd_nano, kept.tokens, kept.of) == (None, 1_000_000, "agent")
    alice.post(f"{base}month/remove/")
    assert alice.get(f"{base}month/").status_code == 404


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"usd": "much"}, "much"),
        ({"usd": "", "tokens": ""}, "Say what it limits"),
        ({"tokens": "-5"}, "-5"),
        ({"soft": "200"}, "200"),
        ({"of": "user", "user": "nobody@x.example"}, "nobody@x.example"),
        ({"name": "Not a slug"}, "Not a slug"),
    ],
)
def test_what_is_wrong_with_a_budget_is_said_and_kept(acme: World, wrong: dict[str, str], says: str) -> None:
    given = {"name": "month", "of": "tenant", "window": "month", "usd": "10"} | wrong
    refused = signed_in(acme, "alice").post(f"/{acme.slug}/usage/budgets/new/", given)
    assert 400 <= refused.status_code < 500
    assert 'role="alert"' in refused.content.decode()
    assert says in refused.content.decode()
    with tenant_scope(acme.tenant_id):
        assert not Budget.objects.exclude(name=None).exists()


def test_reviewers_set_none_and_another_tenants_is_none(acme: World, globex: World) -> None:
    path = f"/{acme.slug}/usage/budgets/new/"
    given = {"name": "month", "of": "tenant", "window": "month", "usd": "10"}
    assert signed_in(acme, "rita").post(path, given).status_code == 403
    assert signed_in(acme, "alice").post(path, given).status_code == 302
    carol = signed_in(globex, "alice")
    assert carol.get(f"/{globex.slug}/usage/budgets/month/").status_code == 404
    assert carol.post(f"/{globex.slug}/usage/budgets/month/remove/").status_code == 404
    assert email(acme, "alice") not in carol.get(f"/{globex.slug}/usage/?by=user").content.decode()
