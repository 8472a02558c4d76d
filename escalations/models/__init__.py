"""One model a file."""

from escalations.models.escalation import Escalation, Vote
from escalations.models.queue import Queue, QueueMember, QueueTeam

__all__ = ["Escalation", "Queue", "QueueMember", "QueueTeam", "Vote"]
