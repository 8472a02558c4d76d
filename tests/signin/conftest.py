"""People who sign in: those of the console's tests."""

from tests.console.conftest import _no_attempts_counted, acme, globex
from tests.signin.sso import idp

__all__ = ["_no_attempts_counted", "acme", "globex", "idp"]
