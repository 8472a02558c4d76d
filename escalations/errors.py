"""Errors of escalations."""

from db.errors import Refusal


class EscalationError(Refusal):
    """The question cannot be answered like that."""

    code = "escalation"


class UnknownEscalation(EscalationError):
    """There is no such escalation."""

    code = "unknown_escalation"
    status = 404


class MayNotDecide(EscalationError):
    """You may not decide this."""

    code = "may_not_decide"
    status = 403


class OwnRequest(MayNotDecide):
    """You may not decide what was asked for by you or on your behalf."""

    code = "own_request"


class SecondVote(MayNotDecide):
    """You have decided on this already; somebody else has to."""

    code = "second_vote"


class OwnEdit(MayNotDecide):
    """You changed what is proposed here, or told the run something before it; somebody else has to approve it."""

    code = "own_edit"


class FirstDecider(MayNotDecide):
    """You appealed, or had a part in what is appealed against; somebody else has to decide."""

    code = "first_decider"


class NotYours(MayNotDecide):
    """Only who did this can take it back."""

    code = "not_yours"


class MayNotReview(EscalationError):
    """That member may not decide this."""

    code = "may_not_review"


class AlreadyClaimed(EscalationError):
    """Somebody has claimed this already."""

    code = "already_claimed"
    status = 409


class NotClaimed(EscalationError):
    """Nobody has claimed this, and it is assigned to nobody."""

    code = "not_claimed"
    status = 409


class InEffect(EscalationError):
    """There is no answer here that could still be taken back."""

    code = "in_effect"
    status = 409


class BadTime(EscalationError):
    """That time cannot be taken."""

    code = "bad_time"


class NotOpened(EscalationError):
    """Too much is at stake to decide on this without having opened it."""

    code = "not_opened"
    status = 409


class UnknownDelegation(EscalationError):
    """There is no such delegation."""

    code = "unknown_delegation"
    status = 404


class AlreadyDecided(EscalationError):
    """This is no longer open."""

    code = "already_decided"
    status = 409


class DigestDiffers(EscalationError):
    """The digest is not the one of what is proposed; look at the proposal again, then decide."""

    code = "digest_differs"
    status = 412


class AnswerNotAllowed(EscalationError):
    """This question does not take that answer."""

    code = "answer_not_allowed"


class MessageMissing(EscalationError):
    """An answer needs a message."""

    code = "message_missing"


class NoAppeal(EscalationError):
    """The run cannot be appealed against."""

    code = "no_appeal"
    status = 409
