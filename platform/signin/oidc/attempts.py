"""How many sign-ins through a provider may be begun and not finished, and how many failures the journal keeps.

Anybody can begin one. Each counts before the provider is asked anything, and is given back when the provider has named
somebody who comes in. A browser that came in by the provider before has a budget of its own, as in `guesses`.
"""

from typing import Any, Final

from allauth.core.internal import ratelimit
from django.http import HttpRequest

from signin import guesses
from signin.device import known_as
from signin.guesses import Guess, TooManyGuesses
from signin.oidc.installed import Door

Json = Any

#: Where a state keeps what was counted for it.
COUNTED: Final = "counted"


def begin(request: HttpRequest, door: Door) -> Guess:
    """Count a sign-in that begins; raises `TooManyGuesses`."""
    name, of = known_as(request, door.id), f"socialaccount:{door.id}"
    wanted = {"browser": f"{of}:{name}"} if name else {"address_and_provider": f"{of}:{ratelimit.get_ip(request)}"}
    return guesses.take(request, wanted)


def finished(state: dict[str, Json]) -> None:
    """Give back what was counted when it began."""
    Guess.of(state.get(COUNTED, [])).was_right()


def spent(request: HttpRequest, door: Door) -> TooManyGuesses | None:
    """Count a failure for the journal; say whose budget is used up if it keeps no more of this provider's for now.

    Nobody is refused for that: the budget is of all who come by the provider.
    """
    try:
        guesses.take(request, {"provider": f"socialaccount:{door.id}"})
    except TooManyGuesses as error:
        return error
    return None
