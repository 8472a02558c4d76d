"""What goes when a member or a team does, beyond this app. The apps above add to these lists when Django starts.

Each entry runs in the tenant's scope, in the transaction of the leaving, which holds the member's or the team's row:
nobody gives them anything meanwhile.
"""

from collections.abc import Callable, Mapping
from uuid import UUID

#: Take from the user with that id what they hold in the tenant in scope; say how many of what, e.g. `{"grants": 3}`.
#: The record of the leaving tells the counts; an entry writes no record of its own.
LEAVING: list[Callable[[UUID], Mapping[str, int]]] = []

#: Raise `tenants.errors.TeamInUse` when the team with that id must stay. Grants to a team go with the group it owns.
DISSOLVING: list[Callable[[UUID], None]] = []
