"""Tools of MCP servers (Model Context Protocol), over stdio and streamable HTTP, with the official SDK."""
