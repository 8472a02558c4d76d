"""Who may reach agents, tools and runs. Dispatch claims runs across tenants by these columns and no others."""

from db.tables import ALL, APPEND, EDIT, Table

CLAIM_READS = (
    *("agent_id", "version_id", "principal_id"),
    *("id", "tenant_id", "status", "seq", "epoch", "priority", "ready_at", "due_at", "ended_at", "worker"),
)
CLAIM_WRITES = ("epoch", "ready_at", "due_at", "status", "worker")

TABLES = (
    Table("agents_agent", ALL),
    Table("agents_agentversion", APPEND),
    Table("agents_tool", ALL),
    Table("agents_toolversion", APPEND),
    Table("agents_datasource", ALL),
    Table("agents_toolusergrant", ALL),
    Table("agents_toolteamgrant", ALL),
    Table("agents_agentusergrant", ALL),
    Table("agents_agentteamgrant", ALL),
    Table("agents_run", EDIT, dispatch={"SELECT": CLAIM_READS, "UPDATE": CLAIM_WRITES}),
)
