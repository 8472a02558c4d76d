"""One model a file."""

from escalations.models.delegation import Delegation
from escalations.models.escalation import Escalation, Opened, Vote
from escalations.models.queue import Queue, QueueMember, QueueTeam

__all__ = ["Delegation", "Escalation", "Opened", "Queue", "QueueMember", "QueueTeam", "Vote"]
