"""URL templates: a value stays where it was put, whatever it holds."""

from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.tools.http.template import ArgumentError, TemplateError, compiled
from egress.urls import parse

TEMPLATE = compiled("https://crm.example/v1/customers/{customer}/orders/{order}?expand=lines&status={status}")

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
nasty = st.text(alphabet="./\\%?#&=;:@[]{}+ \r\n\t\x000aA\u00e9\uff0f\u2024", min_size=1)
values = st.one_of(texts, nasty, st.integers(), st.booleans(), st.floats(allow_nan=False, allow_infinity=False))


@given(customer=values, order=values, status=values)
def test_a_value_stays_in_its_segment_and_its_parameter(customer: object, order: object, status: object) -> None:
    arguments = {"customer": customer, "order": order, "status": status}
    try:
        url = TEMPLATE.url(arguments, {})
    except ArgumentError:
        assert {customer, order} & {".", ".."}
        return

    parts = urlsplit(url)
    assert (parts.scheme, parts.netloc, parts.fragment) == ("https", "crm.example", "")
    assert url.isascii()
    segments = parts.path.split("/")
    assert [*segments[:3], segments[4]] == ["", "v1", "customers", "orders"]
    assert len(segments) == 6
    expected = [value if isinstance(value, str) else None for value in (customer, order)]
    for segment, text in zip((segments[3], segments[5]), expected, strict=True):
        assert text is None or unquote(segment) == text
        assert segment not in ("", ".", "..")
    first, second = parts.query.split("&")
    assert first == "expand=lines"
    name, _, value = second.partition("=")
    assert name == "status"
    assert not isinstance(status, str) or unquote(value) == status
    assert parse(url).host == "crm.example"


@given(further=st.dictionaries(texts, st.one_of(texts, nasty, st.none(), st.lists(texts, max_size=3)), max_size=4))
def test_further_arguments_are_the_query_and_nothing_else(further: dict[str, object]) -> None:
    url = compiled("https://crm.example/search").url({}, further)

    parts = urlsplit(url)
    assert (parts.netloc, parts.path, parts.fragment) == ("crm.example", "/search", "")
    pairs = [tuple(map(unquote, pair.split("="))) for pair in parts.query.split("&") if pair]
    expected = []
    for name, value in further.items():
        items = value if isinstance(value, list) else [value]
        expected += [(name, item) for item in items if item is not None]
    assert pairs == expected


@pytest.mark.parametrize("value", ["", ".", "..", None, [1], {"a": 1}, "\ud800"])
def test_a_value_that_would_change_the_path_is_refused(value: object) -> None:
    with pytest.raises(ArgumentError, match="customer"):
        TEMPLATE.url({"customer": value, "order": 1, "status": "x"}, {})


def test_a_missing_value_is_refused_by_name() -> None:
    with pytest.raises(ArgumentError, match="order"):
        TEMPLATE.url({"customer": 1, "status": "x"}, {})


def test_climbing_with_slashes_stays_one_segment() -> None:
    url = TEMPLATE.url({"customer": "../../admin?x=1#y", "order": 1, "status": "x&admin=1"}, {})

    assert "/customers/..%2F..%2Fadmin%3Fx%3D1%23y/orders/1?" in url
    assert url.endswith("status=x%26admin%3D1")


@pytest.mark.parametrize(
    "template",
    [
        "https://{host}/x",
        "https://{tenant}.example.com/x",
        "https://example.com:{port}/x",
        "{scheme}://example.com/x",
        "https://{user}@example.com/x",
        "{url}",
        "/relative/{id}",
        "https://example.com/{",
        "https://example.com/}",
        "https://example.com/{}",
        "https://example.com/{a b}",
        "https://example.com/{{id}}",
        "https://example.com/{id!r}",
        "https://example.com/x#{id}",
        "https://user:pass@example.com/{id}",
        "ftp://example.com/{id}",
        "https://2130706433/{id}",
        "https://example.com/a b",
        "https:/example.com/{id}",
    ],
)
def test_a_template_that_could_lead_elsewhere_is_refused(template: str) -> None:
    with pytest.raises(TemplateError):
        compiled(template)
