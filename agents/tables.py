"""Who may reach agents, tools and runs. Dispatch claims runs across tenants by these columns and no others."""

from db.tables import ALL, APPEND, EDIT, OfRuns, Table
from tenants.tables import MEMBER, TEAM_GROUP

CLAIM_READS = (
    *("agent_id", "version_id", "principal_id", "parent_id"),
    *("id", "tenant_id", "status", "seq", "epoch", "priority", "ready_at", "due_at", "ended_at", "worker", "engine"),
    *("created_at", "waiting_for", "tries"),
)
CLAIM_WRITES = ("epoch", "ready_at", "due_at", "status", "worker", "tries")

TABLES = (
    Table("agents_agent", ALL),
    Table("agents_agentversion", APPEND),
    Table("agents_tool", ALL),
    Table("agents_toolversion", APPEND),
    # Every worker asks once a second which tools of any tenant fail.
    Table(
        "agents_toolbreaker",
        ALL,
        dispatch={"SELECT": ("tenant_id", "tool_id", "failures", "failed_at", "opened_at", "retry_at")},
    ),
    # Whoever purges sees no more than what has expired.
    Table(
        "agents_toolresult",
        ALL,
        dispatch={"SELECT": ("key", "expires_at"), "DELETE": ("*",)},
        erase=OfRuns("run_id"),
    ),
    Table("agents_datasource", ALL),
    Table("agents_policy", ALL),
    Table("agents_policyset", ALL),
    Table("agents_mcpserver", ALL),
    Table("agents_toolusergrant", ALL, references={"user_id": MEMBER}),
    Table("agents_toolteamgrant", ALL, references={"group_id": TEAM_GROUP}),
    Table("agents_agentusergrant", ALL, references={"user_id": MEMBER}),
    Table("agents_agentteamgrant", ALL, references={"group_id": TEAM_GROUP}),
    Table(
        "agents_run",
        EDIT,
        dispatch={"SELECT": CLAIM_READS, "UPDATE": CLAIM_WRITES},
        journal={
            "SELECT": (
                "tenant_id",
                "id",
                "parent_id",
                "retry_of_id",
                "reverses_id",
                "agent_id",
                "created_at",
                "ended_at",
            )
        },
        # What a client wrote beside the input; a digest without a key would let guesses be tried.
        erase=OfRuns(
            "id",
            blank={
                "metadata": "'{}'",
                "idempotency_key": "NULL",
                "request_digest": "NULL",
                "dedupe_key": "NULL",
                "callback_url": "NULL",
            },
        ),
    ),
    Table("agents_runsubject", ALL, journal={"SELECT": ("*",)}, erase=OfRuns("run_id")),
)
