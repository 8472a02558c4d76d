"""People who sign in: those of the console's tests."""

from collections.abc import Iterator

import pytest
from pytest_django.plugin import DjangoDbBlocker

from signin import letters
from tests.console.conftest import _no_attempts_counted, acme, globex
from tests.signin.sso import idp

__all__ = ["_no_attempts_counted", "acme", "globex", "idp"]


@pytest.fixture(autouse=True)
def _letters_are_sent(django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """No letter of one test is sent during the next."""
    yield
    if letters.office.cache_info().currsize:
        with django_db_blocker.unblock():
            letters.office().submit(int).result()
