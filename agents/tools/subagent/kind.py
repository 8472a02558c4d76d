"""The tool kind `agent`. The engine starts its runs (`agents.engine.children`); here is what its definition may say."""

from agents.core import agent_tools
from agents.tools.seam import ConfigProblem, Failed, Outcome, ToolCall, ToolContext, ToolDefinition


class AgentKind:
    """Calls of `agent` tools, which are runs and nothing that could be performed in place."""

    bounds_itself = True

    def problems(self, definition: ToolDefinition) -> list[ConfigProblem]:
        """Check which agent is called, and how."""
        return agent_tools.config_problems(definition.config)

    def call(self, call: ToolCall, context: ToolContext) -> Outcome:
        """Refuse: outside of a run there is none that a run could be a part of."""
        return Failed("misconfigured", "A call of an agent is a run: start a run of that agent.")
