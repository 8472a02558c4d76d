"""One model a file."""

from tenants.models.api_key import ApiKey
from tenants.models.invitation import Invitation
from tenants.models.membership import Membership, Role
from tenants.models.saved_view import SavedView
from tenants.models.staff_access import StaffAccess
from tenants.models.team import Team, TeamMember
from tenants.models.tenant import Tenant
from tenants.models.user import User

__all__ = [
    "ApiKey",
    "Invitation",
    "Membership",
    "Role",
    "SavedView",
    "StaffAccess",
    "Team",
    "TeamMember",
    "Tenant",
    "User",
]
