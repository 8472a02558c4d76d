"""Making and finding tenants."""

import threading
from collections.abc import Iterator

import pytest
from django.db import connection
from django.urls import URLPattern, URLResolver, get_resolver

from audit.models import Record
from db.models import new_id
from db.scope import tenant_scope
from tenants.actions import tenants
from tenants.errors import BadName, BadSlug, SlugTaken, TenantError, UnknownTenant
from tenants.models import Tenant
from tenants.principal import COMMAND

pytestmark = pytest.mark.usefixtures("database")


def fresh() -> str:
    return f"t{new_id().hex[-12:]}"


@pytest.mark.parametrize("slug", ["a" * 63, "0-0", "x--y"])
def test_slugs_that_pass(slug: str) -> None:
    slug = (fresh() + slug)[-63:] if len(slug) == 63 else f"{fresh()}{slug}"

    assert tenants.create(slug=slug, acting_as=COMMAND).slug == slug


@pytest.mark.parametrize(
    "slug",
    ["", "-a", "a-", "A", "a_b", "a b", "a.b", "a/b", "ä", "a\n", "a" * 64, "a\x00", "\uff11", "\u0430", "..", "a%2f"],
    ids=ascii,
)
def test_slugs_that_do_not(slug: str) -> None:
    with pytest.raises(BadSlug, match="is not a slug"):
        tenants.create(slug=slug, acting_as=COMMAND)
    assert not Tenant.objects.filter(slug=slug.replace("\x00", "")).exists()


def test_a_taken_slug_is_refused_and_leaves_nothing() -> None:
    slug = fresh()
    tenants.create(slug=slug, acting_as=COMMAND)

    with pytest.raises(SlugTaken, match=slug):
        tenants.create(slug=slug, name="another", acting_as=COMMAND)

    assert Tenant.objects.filter(slug=slug).count() == 1


def test_of_many_who_take_a_slug_at_once_one_gets_it() -> None:
    slug, outcomes = fresh(), []

    def take() -> None:
        try:
            outcomes.append(tenants.create(slug=slug, acting_as=COMMAND).slug)
        except TenantError as error:
            outcomes.append(error.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == sorted([slug, *["slug_taken"] * 7])


@pytest.mark.parametrize("name", ["x" * 201, "two\nlines", "nul\x00", "bell\x07", "half \ud800"], ids=ascii)
def test_a_name_that_cannot_be_kept_or_shown_is_refused(name: str) -> None:
    with pytest.raises(BadName):
        tenants.create(slug=fresh(), name=name, acting_as=COMMAND)


def test_the_record_opens_the_tenants_own_journal() -> None:
    tenant = tenants.create(slug=fresh(), name="Ärzte & Söhne 😀", acting_as=COMMAND)

    with tenant_scope(tenant.id):
        record = Record.objects.get()
    assert (record.action, record.stream, record.actor) == ("tenant.created", tenant.id, COMMAND)


def test_the_slug_is_the_name_when_none_is_given() -> None:
    slug = fresh()

    assert tenants.create(slug=slug, acting_as=COMMAND).name == slug


def test_tenants_are_found_by_slug_and_id() -> None:
    tenant = tenants.create(slug=fresh(), acting_as=COMMAND)

    assert tenants.by_slug(tenant.slug) == tenants.by_id(tenant.id) == tenant
    with pytest.raises(UnknownTenant, match="tenant create"):
        tenants.by_slug(fresh())
    with pytest.raises(UnknownTenant):
        tenants.by_id(new_id())


@pytest.mark.parametrize("slug", ["api", "admin", "accounts", "static", "theme", "log"])
def test_an_address_of_the_installation_is_no_slug(database: None, slug: str) -> None:
    with pytest.raises(BadSlug, match="installation itself"):
        tenants.create(slug=slug, acting_as=COMMAND)


def test_every_fixed_address_is_reserved() -> None:
    fixed = {str(pattern.pattern).strip("^").split("/")[0].split(".")[0] for pattern in _addresses(get_resolver())}
    assert {first for first in fixed if first.isidentifier()} <= tenants.RESERVED


def _addresses(resolver: URLResolver) -> Iterator[URLPattern | URLResolver]:
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver) and not str(pattern.pattern):
            yield from _addresses(pattern)
        elif "<" not in str(pattern.pattern).split("/")[0]:
            yield pattern
