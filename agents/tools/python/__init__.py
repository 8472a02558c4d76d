"""Tools that are Python functions of this installation. `tool` registers one."""

from agents.tools.python.functions import tool

__all__ = ["tool"]
