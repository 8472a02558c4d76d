"""Take down what users say of a run's output, by the interface or by the run's link."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from access.acting import acting
from agents.actions.runs import locked, transaction_time
from agents.errors import UnknownRun
from agents.models import Run
from audit import journal
from audit.journal import Entry
from db.scope import tenant_scope
from learning import links
from learning.errors import BadLink, GivenAlready, NoOutput, NotRated
from learning.models import Feedback, FeedbackWish
from tenants.principal import Principal

Json = Any

#: Who acts when it came by a link: whoever had it.
ACTOR: Final = "system:feedback"

#: The longest comment, in characters.
LONGEST: Final = 4000

THUMBS: Final = {"up": 1, "down": -1}


def give(
    run_id: UUID,
    *,
    score: int | None = None,
    thumb: str | None = None,
    comment: str | None = None,
    acting_as: Principal,
) -> Feedback:
    """Take down a member's feedback; given again, it takes the place of what they said before.

    score: 1 to 5; thumb: of `THUMBS`. Raises `AccessDenied`, `UnknownRun`, `NoOutput`, `NotRated`.
    """
    with acting(acting_as, "runs:write") as actor:
        run = _completed(run_id)
        present = Feedback.objects.filter(run_id=run.id, user_id=acting_as.user_id).first()
        return _put(run, present, score, thumb, comment, actor=actor, user_id=acting_as.user_id)


def give_by_link(
    token: str, *, score: int | None = None, thumb: str | None = None, comment: str | None = None, now: datetime
) -> Feedback:
    """Take down what whoever has the link says, once. Raises `BadLink`, `GivenAlready`, `NotRated`."""
    link = links.read(token, now=now)
    with tenant_scope(link.tenant_id):
        try:
            run = _completed(link.run_id)
        except (UnknownRun, NoOutput) as error:
            raise BadLink from error
        if Feedback.objects.filter(run_id=run.id, user_id=None).exists():
            raise GivenAlready
        return _put(run, None, score, thumb, comment, actor=ACTOR, user_id=None)


def is_given(token: str, *, now: datetime) -> bool:
    """Say whether there was feedback by this link. Raises `BadLink`."""
    link = links.read(token, now=now)
    with tenant_scope(link.tenant_id):
        if not Run.objects.filter(id=link.run_id, status="completed").exists():
            raise BadLink
        return Feedback.objects.filter(run_id=link.run_id, user_id=None).exists()


def wish(run_id: UUID, *, acting_as: Principal) -> None:
    """Have the run's result told with a link for feedback. Asked again, nothing more happens. Raises `AccessDenied`."""
    with acting(acting_as, "runs:write") as actor:
        made, created = FeedbackWish.objects.get_or_create(run_id=run_id)
        if created:
            journal.record("feedback.wished", stream=made.id, actor=actor, facts={"run": str(run_id)})


def link_of(run: Run) -> links.Link | None:
    """Return the run's link, in its tenant's scope; None when none was wished for, or there is no output."""
    if run.status != "completed" or run.ended_at is None or not FeedbackWish.objects.filter(run_id=run.id).exists():
        return None
    return links.link_of(run.tenant_id, run.id, run.ended_at)


def _completed(run_id: UUID) -> Run:
    """Return the run, its row locked, so that of two who speak at once one waits."""
    run = locked(run_id)
    if run.status != "completed":
        raise NoOutput
    return run


def _put(
    run: Run,
    present: Feedback | None,
    score: int | None,
    thumb: str | None,
    comment: str | None,
    *,
    actor: str,
    user_id: UUID | None,
) -> Feedback:
    if score is None and thumb is None:
        raise NotRated
    row = present or Feedback(run_id=run.id, agent_id=run.agent_id, version_id=run.version_id, user_id=user_id, seq=0)
    row.score, row.thumb = score, THUMBS[thumb] if thumb is not None else None
    row.created_at = transaction_time()
    row.seq += 1
    row.save()
    facts: dict[str, Json] = {"run": str(run.id), "agent": str(run.agent_id), "version": run.version.number}
    facts |= {"score": score, "thumb": thumb, "by": "link" if user_id is None else "member"}
    journal.append_at(row.id, row.seq - 1, [Entry("feedback.given", actor, facts, {"comment": comment})])
    return row
