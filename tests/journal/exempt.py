"""Verbs that the table of actions does not try, and why."""

from typing import Final

#: What changes nothing: look-ups, checks, and what is kept ready for the actions.
READS: Final = frozenset(
    {
        "agents.actions.agents.by_slug",
        "agents.actions.agents.digest_of",
        "agents.actions.agents.locked",
        "agents.actions.agents.may_edit",
        "agents.actions.agents.newest",
        "agents.actions.agents.spec_of",
        "agents.actions.checking.refuse",
        "agents.actions.dependents.broken",
        "agents.actions.duplicates.key_of",
        "agents.actions.duplicates.twin_of",
        "agents.actions.grants.written",
        "agents.actions.policies.by_name",
        "agents.actions.policies.digest_of",
        "agents.actions.policies.problems",
        "agents.actions.guidance.check",
        "agents.actions.histories.events_of",
        "agents.actions.histories.state_of",
        "agents.actions.mcp_pins.pinned",
        "agents.actions.mcp_pins.raise_at",
        "agents.actions.mcp_pins.state",
        "agents.actions.mcp_pins.states",
        "agents.actions.mcp_servers.by_name",
        "agents.actions.runs.above",
        "agents.actions.runs.check_open",
        "agents.actions.runs.locked",
        "agents.actions.runs.requesters",
        "agents.actions.budgets.current",
        "agents.actions.usage.estimate",
        "agents.actions.usage.used",
        "agents.actions.budgets.named",
        "agents.actions.budgets.spec_of",
        "agents.actions.budgets.specs_of",
        "agents.actions.runs.transaction_time",
        "agents.actions.sources.by_name",
        "agents.actions.tools.by_name",
        "agents.actions.tools.specs",
        "agents.actions.tries.became",
        "agents.actions.uses.of_secret",
        "agents.actions.versions.by_number",
        "agents.actions.versions.is_live",
        "agents.actions.versions.preview",
        "agents.actions.versions.spec_of_run",
        "agents.config.applying.plan",
        "access.grants.grant_of",
        "access.grants.held",
        "access.grants.held_by_all",
        "access.grants.of",
        "access.grants.one",
        "access.grants.permissions",
        "access.grants.rows_of",
        "audit.search.payload_of",
        "audit.search.records",
        "escalations.actions.appeals.check",
        "escalations.actions.appeals.of",
        "escalations.actions.decisions.check",
        "escalations.actions.delegations.visible",
        "escalations.actions.decisions.given",
        "escalations.actions.edits.check",
        "escalations.actions.queues.spec_of",
        "signin.actions.email_domains.of",
        "signin.actions.identity_providers.all_of_tenant",
        "signin.actions.identity_providers.by_slug",
        "tenants.actions.api_keys.authenticate",
        "tenants.actions.api_keys.ends_at",
        "tenants.actions.api_keys.named",
        "tenants.actions.api_keys.standing",
        "tenants.actions.invitations.find",
        "tenants.actions.members.any_by_email",
        "tenants.actions.members.by_email",
        "tenants.actions.members.by_emails",
        "tenants.actions.members.check_address",
        "tenants.actions.members.hold",
        "tenants.actions.members.principal",
        "tenants.actions.members.tenants_of",
        "tenants.actions.names.check_name",
        "tenants.actions.names.check_slug",
        "tenants.actions.owners.changing_people",
        "tenants.actions.owners.check_another",
        "tenants.actions.staff.by_email",
        "tenants.actions.teams.by_slug",
        "tenants.actions.teams.hold",
        "tenants.actions.tenants.by_id",
        "tenants.actions.tenants.by_slug",
        "vault.actions.keys.lost",
        "vault.actions.keys.outdated",
        "vault.actions.keys.refuse_lost",
        "vault.actions.secrets.kept",
        "vault.actions.secrets.reveal",
    }
)

#: What changes something as a part of an action above, which writes the record.
PARTS: Final = frozenset(
    {
        "agents.actions.again.reverse",
        "agents.actions.runs.append",
        "agents.actions.runs.queue",
        "agents.actions.runs.record_decision",
        "escalations.actions.answers.carry",
        "escalations.actions.appeals.settle",
        "tenants.actions.belongings.take_belongings",
        "tenants.actions.belongings.withdraw_invitations",
        "tenants.actions.members.set_password",
        "signin.records.together",
    }
)

#: What is tried elsewhere, and where: it reaches beyond one tenant, or needs a browser's request.
ELSEWHERE: Final = {
    "agents.actions.mcp_servers.discover": (
        "agents/actions/test_mcp_servers.py::test_what_cannot_be_recorded_is_not_discovered"
    ),
    "vault.actions.keys.rotate": (
        "vault/actions/test_keys.py::test_each_batch_is_told_in_its_tenants_journal_without_names"
    ),
    "signin.records.succeeded": "journal/test_sign_in.py::test_who_comes_in_is_recorded_or_stays_outside",
    "signin.records.ended": "journal/test_sign_in.py::test_who_leaves_is_recorded_or_stays",
    "signin.records.failed": "journal/test_sign_in.py::test_a_wrong_password_is_recorded_once",
    "signin.records.code_failed": "signin/test_second_factors.py::test_wrong_code_lets_nobody_in_and_leaves_a_record",
    "signin.records.throttled": "signin/test_guesses.py::test_guesses_from_everywhere_come_to_an_end",
    "signin.records.changed": "signin/test_passwords.py::test_change_that_cannot_be_recorded_does_not_happen",
    "signin.records.was_reset": "signin/test_passwords.py::test_link_sets_a_password_once_and_ends_every_session",
    "signin.records.factor_added": (
        "signin/test_second_factors.py::test_setting_up_that_cannot_be_recorded_does_not_happen"
    ),
    "signin.records.factor_removed": (
        "signin/test_second_factors.py::test_removing_the_app_leaves_one_record_and_takes_the_recovery_codes_along"
    ),
    "signin.records.revoked": "signin/test_sessions.py::test_ending_that_cannot_be_recorded_does_not_happen",
}
