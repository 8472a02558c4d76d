"""One model a file."""

from agents.models.agent import Agent, AgentVersion
from agents.models.data_source import DataSourceRow
from agents.models.grants import AgentTeamGrant, AgentUserGrant, ToolTeamGrant, ToolUserGrant
from agents.models.mcp_server import McpServerRow
from agents.models.policy import Policy, PolicySet
from agents.models.run import Run
from agents.models.run_subject import RunSubject
from agents.models.tool import Tool, ToolVersion
from agents.models.tool_breaker import ToolBreaker
from agents.models.tool_result import ToolResult

__all__ = [
    "Agent",
    "AgentTeamGrant",
    "AgentUserGrant",
    "AgentVersion",
    "DataSourceRow",
    "McpServerRow",
    "Policy",
    "PolicySet",
    "Run",
    "RunSubject",
    "Tool",
    "ToolBreaker",
    "ToolResult",
    "ToolTeamGrant",
    "ToolUserGrant",
    "ToolVersion",
]
