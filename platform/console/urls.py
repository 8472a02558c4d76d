"""The addresses of the console. Those of tenants take whatever is left, so they come last."""

from django.urls import URLPattern, URLResolver, include, path

from console.views import agents, audit, feedback, find, home, inbox, live, runs, tools, usage

app_name = "console"

_run = [
    path("", runs.timeline, name="run"),
    path("events/", runs.events, name="events"),
    path("events/<int:seq>/", runs.event, name="event"),
    path("steps/<int:seq>/", runs.step, name="step"),
    path("conversation/", runs.talk, name="conversation"),
    path("record/", runs.record, name="record"),
    path("cancel/", runs.cancel, name="cancel"),
    path("live/", live.live, name="live"),
]

_inbox = [
    path("", inbox.item, name="inbox_item"),
    path("difference/", inbox.difference, name="inbox_difference"),
    path("decide/", inbox.decide, name="inbox_decide"),
    path("undo/", inbox.undo, name="inbox_undo"),
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

_tenant: list[URLPattern | URLResolver] = [
    path("", home.tenant, name="tenant"),
    path("find/", find.find, name="find"),
    path("inbox/", inbox.listing, name="inbox"),
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
    path("usage/", usage.usage, name="usage"),
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
