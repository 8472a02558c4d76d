"""Every address that is no route of the interface, by name: what it answers to whom. One line each.

The interface's own routes stand in `tests/api/test_isolation.py`; those of `/admin/` are taken together.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from django.urls import URLPattern, URLResolver, get_resolver

Answers = tuple[int, int]

NO: Final[Answers] = (405, 405)


@dataclass(frozen=True, slots=True)
class Page:
    """What a page answers to (a stranger, a member of the tenant it is about, if any), by method.

    Whatever is neither GET nor POST is refused or taken like POST. of_tenant: whether it is a tenant's, so that
    everybody who is no member finds what is at an address nobody has. csrf: whether POST needs the page's token.
    """

    get: Answers = NO
    post: Answers = NO
    of_tenant: bool = False
    csrf: bool = True


SIGN_IN_FIRST: Final = 302

PAGES: Final[dict[str, Page]] = {
    # for everybody alike
    "healthz": Page((200, 200)),
    "readyz": Page((200, 200)),
    "metrics": Page((200, 200)),
    "reports": Page(post=(415, 415), csrf=False),
    "api:schema": Page((200, 200)),
    "api:docs": Page((200, 200)),
    "api:log-checkpoint": Page((401, 401), (401, 401), csrf=False),
    "api:log-tile": Page((401, 401), (401, 401), csrf=False),
    "console:favicon": Page((302, 302)),
    "console:feedback": Page((404, 404), (404, 404)),
    "console:theme": Page(post=(302, 302)),
    # signing in; what a link or a form holds is tried by its own tests
    "sso": Page((200, 200), (200, 200)),
    "sso_tenant": Page((404, 404)),
    "sso_leave": Page(post=(404, 404)),
    "sso_callback": Page((404, 404)),
    "invitation": Page((404, 404), (404, 404)),
    "invitation_link": Page((302, 302)),
    "account_login": Page((200, 302), (200, 302)),
    "account_logout": Page((302, 200), (302, 302)),
    "account_inactive": Page((200, 200)),
    "account_reset_password": Page((200, 200), (200, 200)),
    "account_reset_password_done": Page((200, 200)),
    "account_reset_password_from_key": Page((200, 200), (200, 200)),
    "account_reset_password_from_key_done": Page((200, 200)),
    "mfa_authenticate": Page((302, 302), (302, 302)),
    "mfa_login_webauthn": Page((302, 302), (302, 302)),
    # one's own account
    "account_home": Page((SIGN_IN_FIRST, 200)),
    "account_reauthenticate": Page((SIGN_IN_FIRST, 403), (SIGN_IN_FIRST, 403)),
    "account_change_password": Page((SIGN_IN_FIRST, 302), (SIGN_IN_FIRST, 302)),
    "account_enrol": Page((SIGN_IN_FIRST, 302)),
    "account_end_session": Page(post=(SIGN_IN_FIRST, 404)),
    "account_end_other_sessions": Page(post=(SIGN_IN_FIRST, 302)),
    "mfa_index": Page((302, 302), (302, 302)),
    "mfa_reauthenticate": Page((SIGN_IN_FIRST, 403), (SIGN_IN_FIRST, 403)),
    "mfa_activate_totp": Page((SIGN_IN_FIRST, 200), (SIGN_IN_FIRST, 200)),
    "mfa_deactivate_totp": Page((SIGN_IN_FIRST, 404), (SIGN_IN_FIRST, 404)),
    "mfa_view_recovery_codes": Page((SIGN_IN_FIRST, 404), (SIGN_IN_FIRST, 405)),
    "mfa_generate_recovery_codes": Page((SIGN_IN_FIRST, 200), (SIGN_IN_FIRST, 200)),
    "mfa_reauthenticate_webauthn": Page((SIGN_IN_FIRST, 403), (SIGN_IN_FIRST, 403)),
    "mfa_add_webauthn": Page((SIGN_IN_FIRST, 200), (SIGN_IN_FIRST, 200)),
    "mfa_remove_webauthn": Page((SIGN_IN_FIRST, 404), (SIGN_IN_FIRST, 404)),
    # the console
    "console:home": Page((SIGN_IN_FIRST, 302)),
    "console:tenant": Page((SIGN_IN_FIRST, 200), of_tenant=True),
    "console:find": Page((SIGN_IN_FIRST, 200), of_tenant=True),
    "console:inbox": Page((SIGN_IN_FIRST, 403), of_tenant=True),
    "console:inbox_item": Page((SIGN_IN_FIRST, 403), of_tenant=True),
    "console:inbox_difference": Page(post=(SIGN_IN_FIRST, 403), of_tenant=True),
    "console:inbox_decide": Page(post=(SIGN_IN_FIRST, 403), of_tenant=True),
    "console:inbox_undo": Page(post=(SIGN_IN_FIRST, 403), of_tenant=True),
    "console:inbox_many": Page(post=(SIGN_IN_FIRST, 403), of_tenant=True),
    "console:inbox_claim": Page(post=(SIGN_IN_FIRST, 403), of_tenant=True),
    "console:inbox_release": Page(post=(SIGN_IN_FIRST, 403), of_tenant=True),
    "console:inbox_assign": Page(post=(SIGN_IN_FIRST, 403), of_tenant=True),
    "console:inbox_snooze": Page(post=(SIGN_IN_FIRST, 403), of_tenant=True),
    "console:inbox_keep": Page(post=(SIGN_IN_FIRST, 403), of_tenant=True),
    "console:view_save": Page(post=(SIGN_IN_FIRST, 302), of_tenant=True),
    "console:view_remove": Page(post=(SIGN_IN_FIRST, 302), of_tenant=True),
    "console:agents": Page((SIGN_IN_FIRST, 200), of_tenant=True),
    "console:agent": Page((SIGN_IN_FIRST, 200), of_tenant=True),
    "console:agent_new": Page((SIGN_IN_FIRST, 403), (SIGN_IN_FIRST, 403), of_tenant=True),
    "console:agent_preview": Page(post=(SIGN_IN_FIRST, 403), of_tenant=True),
    "console:agent_draft": Page((SIGN_IN_FIRST, 403), (SIGN_IN_FIRST, 403), of_tenant=True),
    "console:agent_publish": Page(post=(SIGN_IN_FIRST, 302), of_tenant=True),
    "console:agent_roll_back": Page(post=(SIGN_IN_FIRST, 302), of_tenant=True),
    "console:agent_compare": Page((SIGN_IN_FIRST, 200), of_tenant=True),
    "console:agent_try": Page(post=(SIGN_IN_FIRST, 403), of_tenant=True),
    "console:agent_stop": Page((SIGN_IN_FIRST, 403), (SIGN_IN_FIRST, 403), of_tenant=True),
    "console:agent_end_runs": Page(post=(SIGN_IN_FIRST, 403), of_tenant=True),
    "console:agent_go_on": Page(post=(SIGN_IN_FIRST, 403), of_tenant=True),
    "console:agent_grant": Page(post=(SIGN_IN_FIRST, 403), of_tenant=True),
    "console:agent_grant_take": Page(post=(SIGN_IN_FIRST, 403), of_tenant=True),
    "console:tool_grant": Page(post=(SIGN_IN_FIRST, 403), of_tenant=True),
    "console:tool_grant_take": Page(post=(SIGN_IN_FIRST, 403), of_tenant=True),
    "console:agent_run": Page((SIGN_IN_FIRST, 403), (SIGN_IN_FIRST, 403), of_tenant=True),
    "console:cases": Page((SIGN_IN_FIRST, 200), of_tenant=True),
    "console:case": Page((SIGN_IN_FIRST, 200), of_tenant=True),
    "console:case_remove": Page(post=(SIGN_IN_FIRST, 302), of_tenant=True),  # told on the list why it is not let go
    "console:agent_feedback": Page((SIGN_IN_FIRST, 200), of_tenant=True),
    "console:tools": Page((SIGN_IN_FIRST, 200), of_tenant=True),
    "console:tool": Page((SIGN_IN_FIRST, 404), of_tenant=True),
    "console:tool_new": Page((SIGN_IN_FIRST, 403), (SIGN_IN_FIRST, 403), of_tenant=True),
    "console:tool_define": Page((SIGN_IN_FIRST, 403), (SIGN_IN_FIRST, 403), of_tenant=True),
    "console:tool_try": Page(post=(SIGN_IN_FIRST, 403), of_tenant=True),
    "console:tool_repin": Page(post=(SIGN_IN_FIRST, 403), of_tenant=True),
    "console:mcp_discover": Page(post=(SIGN_IN_FIRST, 403), of_tenant=True),
    "console:policies": Page((SIGN_IN_FIRST, 200), of_tenant=True),
    "console:policy": Page((SIGN_IN_FIRST, 403), (SIGN_IN_FIRST, 403), of_tenant=True),
    "console:policy_new": Page((SIGN_IN_FIRST, 403), (SIGN_IN_FIRST, 403), of_tenant=True),
    "console:policy_delete": Page(post=(SIGN_IN_FIRST, 403), of_tenant=True),
    "console:usage": Page((SIGN_IN_FIRST, 403), of_tenant=True),
    "console:settings": Page((SIGN_IN_FIRST, 403), of_tenant=True),
    "console:members": Page((SIGN_IN_FIRST, 403), of_tenant=True),
    "console:member": Page((SIGN_IN_FIRST, 403), of_tenant=True),
    "console:accounts": Page((SIGN_IN_FIRST, 403), of_tenant=True),
    "console:account": Page((SIGN_IN_FIRST, 403), of_tenant=True),
    "console:teams": Page((SIGN_IN_FIRST, 403), of_tenant=True),
    "console:developers": Page((SIGN_IN_FIRST, 403), of_tenant=True),
    "console:keys": Page((SIGN_IN_FIRST, 403), of_tenant=True),
    "console:webhooks": Page((SIGN_IN_FIRST, 403), of_tenant=True),
    "console:webhook": Page((SIGN_IN_FIRST, 403), of_tenant=True),
    "console:invite": Page(post=(SIGN_IN_FIRST, 403), of_tenant=True),
    "console:invitation_withdraw": Page(post=(SIGN_IN_FIRST, 403), of_tenant=True),
    "console:member_change": Page(post=(SIGN_IN_FIRST, 403), of_tenant=True),
    "console:account_new": Page(post=(SIGN_IN_FIRST, 403), of_tenant=True),
    "console:account_change": Page(post=(SIGN_IN_FIRST, 403), of_tenant=True),
    "console:team_delete": Page(post=(SIGN_IN_FIRST, 403), of_tenant=True),
    "console:provider_remove": Page(post=(SIGN_IN_FIRST, 403), of_tenant=True),
    "console:delegation_end": Page(post=(SIGN_IN_FIRST, 403), of_tenant=True),
    "console:key_new": Page(post=(SIGN_IN_FIRST, 403), of_tenant=True),
    "console:key_rotate": Page(post=(SIGN_IN_FIRST, 403), of_tenant=True),
    "console:key_revoke": Page(post=(SIGN_IN_FIRST, 403), of_tenant=True),
    "console:webhook_new": Page(post=(SIGN_IN_FIRST, 403), of_tenant=True),
    "console:webhook_change": Page(post=(SIGN_IN_FIRST, 403), of_tenant=True),
    "console:webhook_replay": Page(post=(SIGN_IN_FIRST, 403), of_tenant=True),
    "console:team_new": Page((SIGN_IN_FIRST, 403), (SIGN_IN_FIRST, 403), of_tenant=True),
    "console:team": Page((SIGN_IN_FIRST, 403), (SIGN_IN_FIRST, 403), of_tenant=True),
    "console:sign_in": Page((SIGN_IN_FIRST, 403), (SIGN_IN_FIRST, 403), of_tenant=True),
    "console:provider_new": Page((SIGN_IN_FIRST, 403), (SIGN_IN_FIRST, 403), of_tenant=True),
    "console:provider": Page((SIGN_IN_FIRST, 403), (SIGN_IN_FIRST, 403), of_tenant=True),
    "console:delegations": Page((SIGN_IN_FIRST, 403), (SIGN_IN_FIRST, 403), of_tenant=True),
    "console:notices": Page((SIGN_IN_FIRST, 403), (SIGN_IN_FIRST, 403), of_tenant=True),
    "console:general": Page((SIGN_IN_FIRST, 403), (SIGN_IN_FIRST, 403), of_tenant=True),
    "console:budget_new": Page((SIGN_IN_FIRST, 403), (SIGN_IN_FIRST, 403), of_tenant=True),
    "console:budget": Page((SIGN_IN_FIRST, 403), (SIGN_IN_FIRST, 403), of_tenant=True),
    "console:budget_remove": Page(post=(SIGN_IN_FIRST, 403), of_tenant=True),
    "console:audit": Page((SIGN_IN_FIRST, 403), of_tenant=True),
    "console:audit_record": Page((SIGN_IN_FIRST, 403), of_tenant=True),
    "console:audit_proof": Page((SIGN_IN_FIRST, 403), of_tenant=True),
    "console:story": Page((SIGN_IN_FIRST, 403), of_tenant=True),
    "console:exports": Page((SIGN_IN_FIRST, 403), of_tenant=True),
    "console:export_new": Page(post=(SIGN_IN_FIRST, 403), of_tenant=True),
    "console:export": Page((SIGN_IN_FIRST, 403), of_tenant=True),
    "console:export_download": Page((SIGN_IN_FIRST, 403), of_tenant=True),
    "console:export_let_go": Page(post=(SIGN_IN_FIRST, 403), of_tenant=True),
    "console:holds": Page((SIGN_IN_FIRST, 403), of_tenant=True),
    "console:hold_new": Page(post=(SIGN_IN_FIRST, 403), of_tenant=True),
    "console:hold": Page((SIGN_IN_FIRST, 403), of_tenant=True),
    "console:hold_decide": Page(post=(SIGN_IN_FIRST, 403), of_tenant=True),
    "console:hold_release": Page(post=(SIGN_IN_FIRST, 403), of_tenant=True),
    "console:erasures": Page((SIGN_IN_FIRST, 403), of_tenant=True),
    "console:erasure_new": Page(post=(SIGN_IN_FIRST, 403), of_tenant=True),
    "console:erasure": Page((SIGN_IN_FIRST, 403), of_tenant=True),
    "console:erasure_decide": Page(post=(SIGN_IN_FIRST, 403), of_tenant=True),
    "console:retention": Page((SIGN_IN_FIRST, 403), of_tenant=True),
    "console:retention_change": Page(post=(SIGN_IN_FIRST, 403), of_tenant=True),
    "console:retention_decide": Page(post=(SIGN_IN_FIRST, 403), of_tenant=True),
    "console:log": Page((SIGN_IN_FIRST, 403), of_tenant=True),
    "console:runs": Page((SIGN_IN_FIRST, 200), of_tenant=True),
    "console:run": Page((SIGN_IN_FIRST, 200), of_tenant=True),
    "console:events": Page((SIGN_IN_FIRST, 200), of_tenant=True),
    "console:event": Page((SIGN_IN_FIRST, 200), of_tenant=True),
    "console:step": Page((SIGN_IN_FIRST, 200), of_tenant=True),
    "console:tree": Page((SIGN_IN_FIRST, 404), of_tenant=True),
    "console:conversation": Page((SIGN_IN_FIRST, 200), of_tenant=True),
    "console:record": Page((SIGN_IN_FIRST, 200), of_tenant=True),
    "console:afterwards": Page((SIGN_IN_FIRST, 200), of_tenant=True),
    "console:appeal": Page(post=(SIGN_IN_FIRST, 403), of_tenant=True),
    "console:feedback_give": Page(post=(SIGN_IN_FIRST, 403), of_tenant=True),
    "console:cancel": Page(post=(SIGN_IN_FIRST, 403), of_tenant=True),
    "console:guide": Page(post=(SIGN_IN_FIRST, 403), of_tenant=True),
    "console:again": Page(post=(SIGN_IN_FIRST, 403), of_tenant=True),
    "console:live": Page((401, 200), of_tenant=True),
}


@dataclass(frozen=True, slots=True)
class Address:
    """An address of the URLconf. variables: the names of what it takes. named: whether it is more than a pattern."""

    name: str
    variables: frozenset[str]
    named: bool


def addresses() -> Iterator[Address]:
    """Yield every address that the installation answers, the resolver's own order."""
    yield from _walk(get_resolver().url_patterns, (), frozenset())


def _walk(
    patterns: "list[URLPattern | URLResolver]", namespaces: tuple[str, ...], variables: frozenset[str]
) -> Iterator[Address]:
    for each in patterns:
        taken = variables | _variables(each)
        if isinstance(each, URLResolver):
            inside = (*namespaces, each.namespace) if each.namespace else namespaces
            yield from _walk(each.url_patterns, inside, taken)
        else:
            yield Address(":".join((*namespaces, each.name or str(each.pattern))), taken, each.name is not None)


def _variables(each: URLPattern | URLResolver) -> frozenset[str]:
    return frozenset(each.pattern.converters or each.pattern.regex.groupindex)
