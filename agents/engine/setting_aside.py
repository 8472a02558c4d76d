"""Set a run aside that no worker gets any further, or end one that was given up: without folding it."""

import logging

from django.conf import settings

from agents.core import aside
from agents.core.decide import Command, Finished, Park, lost_model_call
from agents.core.events import ModelFailed
from agents.core.fold import fold_all
from agents.core.pricing import tokens_at_most, upper_bound
from agents.core.spec import AgentSpec
from agents.core.state import RunState, evolve
from agents.engine.draft import settlement
from agents.engine.leases import Claimed
from agents.engine.model_calls import model_request
from agents.engine.store import Step

log = logging.getLogger(__name__)


def see_to(run: Claimed, step: Step) -> Command | None:
    """Return what becomes of a worn run, once the step is committed; None when it is to be taken up after all.

    One that somebody gives up, or whose deadline passes, is taken up once more, to end as runs do. If that fails too, a
    run that was given up ends by its outline; the other one waits for a person.
    """
    seq, records = step.outline()
    state = evolve(aside.outline(run.id, records), seq=seq)
    if state.ended:
        step.forget()
        return Finished()
    at = run.now()
    given_up, over = aside.is_given_up(state), aside.is_over(state, at)
    if (given_up or over) and run.tries == settings.RUN_TRIES + 1:
        run.spec, run.history = step.spec(), step.history()
        return None
    if given_up:
        ended = aside.given_up(state, epoch=run.epoch, at=at.isoformat(), lost=_lost(run, step, state))
        step.append(fold_all(ended, state), ended, release=True, budget=settlement(ended, state))
        log.error("ended without folding", extra={"run": str(run.id)})
        return Finished()
    spec, tries = _spec(step), run.tries - 1
    review = spec.review if spec else {}
    asked = aside.set_aside(state, epoch=run.epoch, tries=tries, review=review, at=at.isoformat())
    parked = fold_all(asked, state)
    # Whoever cancelled it before has given it up now.
    until = at if aside.is_given_up(parked) else None if over else aside.ends_at(state)
    step.append(parked, asked, until=until, release=True, tries=settings.RUN_TRIES)
    log.error("set aside", extra={"run": str(run.id), "tries": tries})
    return Park("decision", aside.REASON, until)


def _lost(run: Claimed, step: Step, state: RunState) -> ModelFailed | None:
    """Return the call of the model that was under way, at its upper bound; but at no more than the run reserved.

    The request cannot be made again without folding. It has at most as many tokens as the journal has bytes.
    """
    if not state.calling_model or state.held is None or (spec := _spec(step)) is None:
        return None
    tokens = step.size() + tokens_at_most(model_request(state, spec))
    cost = upper_bound(tokens, spec.max_tokens, spec.model, run.now().date())
    left_usd, left_tokens = state.held.usd_nano - state.cost_nano, state.held.tokens - state.spent_tokens
    return lost_model_call(
        state, spec, cost_nano=max(0, min(cost, left_usd)), tokens=max(0, min(tokens + spec.max_tokens, left_tokens))
    )


def _spec(step: Step) -> AgentSpec | None:
    """Return the run's version, if that is not what cannot be read."""
    try:
        return step.spec()
    except Exception:  # if it is the database's, the next statement fails as well
        log.exception("the version of a run cannot be read")
        return None
