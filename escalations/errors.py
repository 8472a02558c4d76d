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
    """You changed what is proposed here; somebody else has to approve it."""

    code = "own_edit"


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
