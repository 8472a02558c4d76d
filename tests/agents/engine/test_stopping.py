"""Workers that are told to stop end in time, whatever the database does; what they held runs out."""

import os

from db.embedded import Server
from tests.agents.engine.clusters import Cluster, cluster, drivers
from tests.agents.engine.doorways import doorway
from tests.agents.engine.test_clusters import SCRIPTS, alone
from tests.agents.providers.servers import rehearsal
from tests.ops.processes import eventually
from tests.worlds import World

__all__ = ["alone"]


def is_gone(stopped: Cluster) -> bool:
    """Whether no process of it is left: it has a process group of its own."""
    try:
        os.killpg(stopped.process.pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_workers_end_although_the_database_does_not_answer_and_their_runs_go_on_elsewhere(
    acme: World,
    alone: None,
    process_environment: dict[str, str],
    embedded_server: Server,
) -> None:
    acme.define("slow", role="You take two minutes.")
    with (
        rehearsal(SCRIPTS) as url,
        doorway(embedded_server) as way,
        cluster(way.environment(process_environment), url) as stopped,
    ):
        run = acme.submit("slow", {"of": acme.slug})
        assert eventually(lambda: acme.run(run.id).status == "running")

        with way.shut():
            assert stopped.stop() == 0
            assert eventually(lambda: is_gone(stopped))

        assert "are ended; leases that they still hold run out" in stopped.said()
        assert eventually(lambda: drivers() == 0)
        left = acme.run(run.id)
        assert left.worker is not None
        assert left.due_at is not None
