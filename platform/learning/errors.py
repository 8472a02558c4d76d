"""Errors of learning."""

from db.errors import Refusal


class LearningError(Refusal):
    """Nothing is learnt from that."""

    code = "learning"


class UnknownCase(LearningError):
    """There is no such case."""

    code = "unknown_case"
    status = 404


class NothingToLearn(LearningError):
    """A case is kept of an edit or a rejection of a tool call or an output, or of an appeal that was upheld."""

    code = "nothing_to_learn"


class NotOfThisAgent(LearningError):
    """This escalation or run is of another agent."""

    code = "not_of_this_agent"


class RunErased(LearningError):
    """What this run held is erased; there is nothing to keep of it."""

    code = "run_erased"
    status = 409


class NoOutput(LearningError):
    """Feedback is given on the output of a run that has completed."""

    code = "no_output"
    status = 409


class NotRated(LearningError):
    """Give a score or a thumb."""

    code = "not_rated"


class BadLink(LearningError):
    """This link opens nothing, or nothing any more."""

    code = "bad_link"
    status = 404


class GivenAlready(LearningError):
    """Feedback was given by this link already."""

    code = "given_already"
    status = 409
