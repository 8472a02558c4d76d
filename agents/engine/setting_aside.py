"""Set a run aside that no worker gets any further, or end one that was given up: without folding it."""

import logging
from collections.abc import Mapping
from functools import partial
from typing import Any

from django.conf import settings

from agents.core import aside
from agents.core.decide import Command, Finished, Park
from agents.core.fold import fold_all
from agents.core.state import evolve
from agents.engine import children
from agents.engine.draft import settlements
from agents.engine.leases import Claimed
from agents.engine.store import Step

log = logging.getLogger(__name__)


def see_to(run: Claimed, step: Step) -> Command | None:
    """Return what becomes of a worn run, once the step is committed; None when it is to be taken up after all.

    One that somebody gives up, or whose deadline passes, is taken up once more, to end as runs do. If that fails too, a
    run that was given up ends by its outline; the other one waits for a person. The version is read in the first of
    these tries only: whom that kills has a next one which does not.
    """
    seq, records = step.outline()
    state = evolve(aside.outline(run.id, records), seq=seq)
    if state.ended:
        step.forget()
        return Finished()
    at = run.now()
    given_up, over = aside.is_given_up(state), aside.is_over(state, at)
    is_first = run.tries == settings.RUN_TRIES + 1
    if (given_up or over) and is_first:
        run.spec, run.history = step.spec(), step.history()
        return None
    if given_up:
        ended = aside.given_up(state, epoch=run.epoch, at=at.isoformat())
        step.append(fold_all(ended, state), ended, release=True, settled=settlements(ended, state))
        for child in state.open_children:
            step.afterwards(partial(children.stop, run.tenant_id, run.id, child.run))
        log.error("ended without folding", extra={"run": str(run.id)})
        return Finished()
    tries = run.tries - 1
    review = _review(step) if is_first and not aside.is_open(state) else {}
    asked = aside.set_aside(state, epoch=run.epoch, tries=tries, review=review, at=at.isoformat())
    parked = fold_all(asked, state)
    # Whoever cancelled it before has given it up now.
    until = at if aside.is_given_up(parked) else None if over else aside.ends_at(state)
    step.append(parked, asked, until=until, release=True, tries=settings.RUN_TRIES)
    log.error("set aside", extra={"run": str(run.id), "tries": tries})
    return Park("decision", aside.REASON, until)


def _review(step: Step) -> Mapping[str, Any]:
    """Return how the agent's runs are reviewed; nothing if its version is what cannot be read."""
    try:
        return step.spec().review
    except Exception:  # if it is the database's, the next statement fails as well
        log.exception("the version of a run cannot be read")
        return {}
