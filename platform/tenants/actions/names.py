"""What people type when they name things, checked in one place."""

from django.core.exceptions import ValidationError

from tenants.errors import BadName, BadSlug
from tenants.models.tenant import NAME_LENGTH, SLUG


def check_slug(slug: str) -> None:
    """Raise `BadSlug` unless `slug` is one."""
    try:
        SLUG(slug)
    except ValidationError as error:
        raise BadSlug(f"{slug!r} is not a slug. {BadSlug.__doc__}") from error


def check_name(name: str) -> None:
    """Raise `BadName` unless `name` can be kept and shown on one line; an empty one can."""
    if len(name) > NAME_LENGTH or not name.isprintable():
        raise BadName
