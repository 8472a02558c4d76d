"""Errors of retention."""

from collections.abc import Sequence
from uuid import UUID

from db.errors import Refusal

#: How many ids a message lists.
LISTED = 20


class RetentionError(Refusal):
    """This cannot be held, erased or kept as asked for."""

    code = "retention"


class UnknownOrder(RetentionError):
    """There is no such hold or erasure."""

    code = "unknown_order"
    status = 404


class AlreadyDecided(RetentionError):
    """This was confirmed or refused already; nothing of it is left to decide."""

    code = "order_already_decided"
    status = 409


class SamePerson(RetentionError):
    """Another person than the one who asked must confirm this."""

    code = "same_person"
    status = 403


class NotAPerson(RetentionError):
    """A service account neither asks for this nor confirms it: use the key of a member."""

    code = "not_a_person"
    status = 403


class AskerLeft(RetentionError):
    """Whoever asked for this may not do so any more: refuse it, and ask anew."""

    code = "asker_left"
    status = 409


class BadHold(RetentionError):
    """Name one: a subject, a run, an agent, or a period by from and to."""

    code = "bad_hold"


class NotInForce(RetentionError):
    """This hold is not in force, so there is nothing to release."""

    code = "not_in_force"
    status = 409


class ReleaseAsked(RetentionError):
    """The release of this hold is asked for already; another person confirms it."""

    code = "release_asked"
    status = 409


class NothingAbout(RetentionError):
    """No run is about this subject, going by the `subject` pointers of the agents."""

    code = "nothing_about_subject"


class ReasonNamesSubject(RetentionError):
    """Leave the subject out of the reason: the reason stays when the subject is erased."""

    code = "reason_names_subject"


class BadTerms(RetentionError):
    """These are no terms of retention."""

    code = "bad_terms"


class TermsAsked(RetentionError):
    """A change of the terms is asked for already: confirm or refuse that one first."""

    code = "terms_asked"
    status = 409


class RunsLive(RetentionError):
    """Runs about this subject have not ended."""

    code = "runs_live"
    status = 409

    def __init__(self, runs: Sequence[UUID]) -> None:
        super().__init__(
            f"{len(runs)} of the runs about this subject have not ended, or are being asked about: {listed(runs)}."
            " Cancel them, or wait for their end, and ask again."
        )


class OnHold(RetentionError):
    """A legal hold forbids it."""

    code = "on_hold"
    status = 409

    def __init__(self, holds: Sequence[UUID]) -> None:
        super().__init__(f"A legal hold forbids it: {listed(holds)}. Two persons release a hold.")


def listed(ids: Sequence[UUID]) -> str:
    """Return the first of these ids in words."""
    few = [str(each) for each in sorted(ids)[:LISTED]]
    return ", ".join([*few, f"{len(ids) - len(few)} more"] if len(ids) > len(few) else few)
