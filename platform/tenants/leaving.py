"""What goes when a member or a team does, beyond this app. The apps above add to these lists when Django starts.

Each entry runs in the tenant's scope, in the transaction of the leaving, which holds the member's or the team's row:
nobody gives them anything meanwhile.
"""

from collections.abc import Callable, Mapping

from tenants.models import Team, User

#: Take from the user what they hold in the tenant in scope; say how many of what, e.g. `{"grants": 3}`.
#: The record of the leaving tells the counts; an entry writes no record of its own.
LEAVING: list[Callable[[User], Mapping[str, int]]] = []

#: The same for a team that is deleted; or raise `tenants.errors.TeamInUse` when it must stay.
DISSOLVING: list[Callable[[Team], Mapping[str, int]]] = []
