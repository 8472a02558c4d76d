"""DBOS Transact on PostgreSQL: one workflow a run, a step per call; the workflow called in the client's own thread."""

import argparse
from collections.abc import Callable
from typing import Any

from common import agent_loop, main, model_client, run_tool
from dbos import DBOS
from psycopg.conninfo import conninfo_to_dict


def setup(options: argparse.Namespace) -> Callable[[int], str]:
    """Launch DBOS and return the workflow."""
    url = "postgresql://{user}@{host}:{port}/{dbname}".format(**conninfo_to_dict(options.dsn))
    pool_size = max(20, options.concurrency)
    DBOS(config={"name": "bench", "system_database_url": url, "log_level": "ERROR", "sys_db_pool_size": pool_size})
    call = model_client(options)

    @DBOS.step()
    def model(messages: Any) -> Any:
        return call(messages)

    @DBOS.step()
    def tool(block: Any) -> Any:
        return run_tool(block)

    @DBOS.workflow()
    def agent(number: int) -> str:
        return agent_loop(model, tool)

    DBOS.launch()
    return agent


main(setup)
DBOS.destroy()
