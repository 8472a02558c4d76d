"""The addresses of the console. Those of tenants take whatever is left, so they come last."""

from django.urls import URLPattern, URLResolver, include, path

from console.views import (
    agents,
    audit,
    budgets,
    developers,
    feedback,
    find,
    home,
    inbox,
    inbox_life,
    keys,
    live,
    notices,
    people,
    run_people,
    runs,
    saved,
    settings_home,
    sign_in,
    teams,
    tools,
    usage,
    webhooks,
)

app_name = "console"

_run = [
    path("", runs.timeline, name="run"),
    path("events/", runs.events, name="events"),
    path("events/<int:seq>/", runs.event, name="event"),
    path("steps/<int:seq>/", runs.step, name="step"),
    path("conversation/", runs.talk, name="conversation"),
    path("record/", runs.record, name="record"),
    path("cancel/", run_people.cancel, name="cancel"),
    path("guide/", run_people.guide, name="guide"),
    path("again/", run_people.again, name="again"),
    path("live/", live.live, name="live"),
]

_inbox = [
    path("", inbox.item, name="inbox_item"),
    path("difference/", inbox.difference, name="inbox_difference"),
    path("decide/", inbox.decide, name="inbox_decide"),
    path("undo/", inbox.undo, name="inbox_undo"),
    path("claim/", inbox_life.claim, name="inbox_claim"),
    path("release/", inbox_life.release, name="inbox_release"),
    path("assign/", inbox_life.assign, name="inbox_assign"),
    path("snooze/", inbox_life.snooze, name="inbox_snooze"),
]

_agent = [
    path("", agents.overview, name="agent"),
    path("draft/", agents.draft, name="agent_draft"),
    path("publish/", agents.publish, name="agent_publish"),
    path("roll-back/", agents.roll_back, name="agent_roll_back"),
    path("run/", agents.run, name="agent_run"),
    path("versions/<int:before>...<int:after>/", agents.compare, name="agent_compare"),
]

_tool = [
    path("", tools.one, name="tool"),
    path("define/", tools.define, name="tool_define"),
    path("try/", tools.attempt, name="tool_try"),
    path("approve-definition/", tools.repin, name="tool_repin"),
]

_settings = [
    path("", settings_home.begin, name="settings"),
    path("members/", people.listing, name="members"),
    path("members/invite/", people.invite, name="invite"),
    path("members/invitations/<uuid:invitation>/withdraw/", people.withdraw, name="invitation_withdraw"),
    path("members/<uuid:person>/", people.member, name="member"),
    path("members/<uuid:person>/change/", people.change_member, name="member_change"),
    path("service-accounts/", people.accounts, name="accounts"),
    path("service-accounts/new/", people.make_account, name="account_new"),
    path("service-accounts/<uuid:person>/", people.account, name="account"),
    path("service-accounts/<uuid:person>/change/", people.change_account, name="account_change"),
    path("teams/", teams.listing, name="teams"),
    path("teams/new/", teams.new, name="team_new"),
    path("teams/<slug:slug>/", teams.one, name="team"),
    path("teams/<slug:slug>/delete/", teams.delete, name="team_delete"),
    path("sign-in/", sign_in.sign_in, name="sign_in"),
    path("sign-in/providers/new/", sign_in.provider, name="provider_new"),
    path("sign-in/providers/<slug:slug>/", sign_in.provider, name="provider"),
    path("sign-in/providers/<slug:slug>/remove/", sign_in.remove_provider, name="provider_remove"),
    path("notices/", notices.notices, name="notices"),
    path("delegations/", sign_in.stand_ins, name="delegations"),
    path("delegations/<uuid:delegation>/end/", sign_in.end_stand_in, name="delegation_end"),
]

_developers = [
    path("", developers.start, name="developers"),
    path("keys/", keys.listing, name="keys"),
    path("keys/new/", keys.create, name="key_new"),
    path("keys/<uuid:api_key>/rotate/", keys.rotate, name="key_rotate"),
    path("keys/<uuid:api_key>/revoke/", keys.revoke, name="key_revoke"),
    path("webhooks/", webhooks.listing, name="webhooks"),
    path("webhooks/new/", webhooks.add, name="webhook_new"),
    path("webhooks/<uuid:webhook>/", webhooks.one, name="webhook"),
    path("webhooks/<uuid:webhook>/change/", webhooks.change, name="webhook_change"),
    path("webhooks/<uuid:webhook>/deliveries/<uuid:delivery>/replay/", webhooks.replay, name="webhook_replay"),
]

_tenant: list[URLPattern | URLResolver] = [
    path("", home.tenant, name="tenant"),
    path("views/save/", saved.save, name="view_save"),
    path("views/<uuid:view>/remove/", saved.remove, name="view_remove"),
    path("find/", find.find, name="find"),
    path("inbox/", inbox.listing, name="inbox"),
    path("inbox/many/", inbox_life.many, name="inbox_many"),
    path("inbox/<uuid:escalation>/", include(_inbox)),
    path("agents/", agents.listing, name="agents"),
    path("agents/new/", agents.new, name="agent_new"),
    path("agents/new/preview/", agents.preview, name="agent_preview"),
    path("agents/<slug:slug>/", include(_agent)),
    path("tools/", tools.listing, name="tools"),
    path("tools/new/", tools.define, name="tool_new"),
    path("tools/servers/<str:name>/discover/", tools.discover, name="mcp_discover"),
    path("tools/<str:name>/", include(_tool)),
    path("policies/", tools.policy_list, name="policies"),
    path("policies/new/", tools.policy, name="policy_new"),
    path("policies/<str:name>/", tools.policy, name="policy"),
    path("policies/<str:name>/delete/", tools.policy_delete, name="policy_delete"),
    path("settings/", include(_settings)),
    path("developers/", include(_developers)),
    path("usage/", usage.usage, name="usage"),
    path("usage/budgets/new/", budgets.budget, name="budget_new"),
    path("usage/budgets/<str:name>/", budgets.budget, name="budget"),
    path("usage/budgets/<str:name>/remove/", budgets.remove, name="budget_remove"),
    path("audit/", audit.records, name="audit"),
    path("audit/<uuid:record>/", audit.record, name="audit_record"),
    path("runs/", runs.listing, name="runs"),
    path("runs/<uuid:run>/", include(_run)),
]

urlpatterns = [
    path("", home.home, name="home"),
    path("favicon.ico", home.favicon, name="favicon"),
    path("theme/", home.theme, name="theme"),
    path("feedback/<str:token>/", feedback.feedback, name="feedback"),
    path("<slug:tenant>/", include(_tenant)),
]
