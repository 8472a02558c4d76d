"""What others may hook into a step. Receivers run inside the step's transaction, on its connection.

Each is sent with `connection` (a psycopg connection in the run's tenant scope) and `run` (a `leases.Claimed`), unless
it says otherwise; a receiver that raises rolls the step back.
"""

from django.dispatch import Signal

#: A person is asked: `event` (`DecisionRequested`) and `seq`, its place in the run's journal.
decision_requested = Signal()

#: Nobody answered in time: `event` (`DecisionExpired`).
decision_expired = Signal()

#: A run ended, or is undone before it does, that may have asked somebody: whatever is still open about it is moot.
questions_moot = Signal()

#: An ended run was given to somebody who asked for the same and wants to be called back: `run` (an `agents.models.Run`)
#: alone, in the asking one's transaction and scope.
asked_again = Signal()
