"""Addresses of version 1; none ends in a slash."""

from django.urls import path

from api.v1 import agents, escalations, grants, models, runs, secret_values, tools

urlpatterns = [
    path("runs", runs.Runs.as_view(), name="runs"),
    path("runs/<str:run_id>", runs.OneRun.as_view(), name="run"),
    path("runs/<str:run_id>/events", runs.Events.as_view(), name="run-events"),
    path("runs/<str:run_id>/stream", runs.Stream.as_view(), name="run-stream"),
    path("runs/<str:run_id>/cancel", runs.Cancel.as_view(), name="run-cancel"),
    path("escalations", escalations.Escalations.as_view(), name="escalations"),
    path("escalations/<str:escalation_id>", escalations.OneEscalation.as_view(), name="escalation"),
    path("escalations/<str:escalation_id>/decide", escalations.Decide.as_view(), name="escalation-decide"),
    path("agents", agents.Agents.as_view(), name="agents"),
    path("agents/<str:slug>", agents.OneAgent.as_view(), name="agent"),
    path("agents/<str:slug>/versions", agents.Versions.as_view(), name="agent-versions"),
    path("agents/<str:slug>/versions/<str:number>", agents.OneVersion.as_view(), name="agent-version"),
    path("agents/<str:slug>/versions/<str:number>/publish", agents.Publish.as_view(), name="agent-publish"),
    path("agents/<str:slug>/rollback", agents.Rollback.as_view(), name="agent-rollback"),
    path("agents/<str:slug>/preview", agents.Preview.as_view(), name="agent-preview"),
    path("agents/<str:slug>/grants", grants.AgentGrants.as_view(), name="agent-grants"),
    path("agents/<str:slug>/grants/<str:grant_id>", grants.AgentGrant.as_view(), name="agent-grant"),
    path("models", models.Models.as_view(), name="models"),
    path("tools", tools.Tools.as_view(), name="tools"),
    path("tools/<str:tool_name>", tools.OneTool.as_view(), name="tool"),
    path("tools/<str:tool_name>/grants", grants.ToolGrants.as_view(), name="tool-grants"),
    path("tools/<str:tool_name>/grants/<str:grant_id>", grants.ToolGrant.as_view(), name="tool-grant"),
    path("secrets/<str:secret_name>", secret_values.OneSecret.as_view(), name="secret"),
]
