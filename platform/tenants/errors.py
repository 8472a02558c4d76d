"""Errors of tenants."""

from db.errors import Refusal


class TenantError(Refusal):
    """The tenant, member or key is not as asked for."""

    code = "tenant"


class UnknownTenant(TenantError):
    """There is no such tenant."""

    code = "unknown_tenant"
    status = 404


class SlugTaken(TenantError):
    """That slug is taken already."""

    code = "slug_taken"
    status = 409


class BadSlug(TenantError):
    """Use 1 to 63 lower-case letters, digits and hyphens; begin and end with a letter or digit."""

    code = "bad_slug"


class BadName(TenantError):
    """Give a name of at most 200 characters, on one line."""

    code = "bad_name"


class BadEmail(TenantError):
    """That is not an e-mail address of a person."""

    code = "bad_email"


class BadPassword(TenantError):
    """The password is too easy to guess."""

    code = "bad_password"


class SettingsChanged(TenantError):
    """Somebody changed the settings since they were read."""

    code = "settings_changed"
    status = 412


class UnknownMember(TenantError):
    """Nobody with that e-mail address is a member of this tenant."""

    code = "unknown_member"


class MemberInactive(TenantError):
    """That member is deactivated; reactivate them first."""

    code = "member_inactive"
    status = 409


class AlreadyMember(TenantError):
    """That person is a member already."""

    code = "already_member"
    status = 409


class LastOwner(TenantError):
    """This is the tenant's last active owner; make somebody else an owner first."""

    code = "last_owner"
    status = 409


class NotAnOwner(TenantError):
    """Only an active owner manages people and teams."""

    code = "forbidden"
    status = 403


class UnknownInvitation(TenantError):
    """There is no such invitation, or it was used or withdrawn."""

    code = "unknown_invitation"
    status = 404


class ExpiredInvitation(TenantError):
    """The invitation has expired; ask for a new one."""

    code = "expired_invitation"
    status = 410


class AnothersInvitation(TenantError):
    """The invitation is for another e-mail address than that of the account signed in."""

    code = "anothers_invitation"
    status = 403


class InvitationEnded(TenantError):
    """The invitation was accepted or withdrawn already."""

    code = "invitation_ended"
    status = 409


class UnknownTeam(TenantError):
    """There is no such team."""

    code = "unknown_team"


class TeamInUse(TenantError):
    """Something still names the team."""

    code = "team_in_use"
    status = 409


class UnknownScope(TenantError):
    """There is no such scope."""

    code = "unknown_scope"


class BadKey(TenantError):
    """The API key is missing, unknown, expired or revoked."""

    code = "bad_key"
    status = 401


class UnknownKey(TenantError):
    """There is no such API key."""

    code = "unknown_key"
    status = 404


class KeyEnded(TenantError):
    """The API key was revoked, has expired or has a successor already."""

    code = "key_ended"
    status = 409


class BadExpiry(TenantError):
    """A key's end lies in the future, and no further than this installation allows."""

    code = "bad_expiry"


class BadOverlap(TenantError):
    """The time that both keys work is between nothing and 30 days."""

    code = "bad_overlap"


class UnknownStaff(TenantError):
    """Nobody of the platform's staff has that e-mail address."""

    code = "unknown_staff"


class NoSecondFactor(TenantError):
    """Platform staff look with a second factor; they sign in and add one first."""

    code = "no_second_factor"


class BadAccess(TenantError):
    """Staff look into a tenant for one to four hours, and for a reason of 10 to 2000 characters."""

    code = "bad_access"


class AccessOpen(TenantError):
    """That access is open already; close it first."""

    code = "access_open"
    status = 409


class AccessNotOpen(TenantError):
    """No such access is open."""

    code = "access_not_open"
    status = 409


class BadView(TenantError):
    """There is no such list to keep a view of, or what it is narrowed to is too long."""

    code = "bad_view"


class TooManyViews(TenantError):
    """At most 30 views of a list are kept; take one away first."""

    code = "too_many_views"
    status = 409


class UnknownView(TenantError):
    """You have no such view."""

    code = "unknown_view"
    status = 404
