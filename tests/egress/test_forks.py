"""A forked child can call out, whatever threads of its parent were at when it was made."""

import multiprocessing
from multiprocessing.connection import Connection
from uuid import UUID

import pytest

from agents.tools.http.tokens import Tokens
from egress.client import Client
from egress.threads import Threads

PATIENCE_S = 60


def use(tokens: Tokens, client: Client, threads: Threads, answers: Connection) -> None:
    """What a child does."""
    tokens.drop((UUID(int=0), "", b""), "none")
    client.close()
    answers.send(threads.call(lambda: "the child called", PATIENCE_S))


# The test itself forks while other tests' threads may run, which Python 3.12 warns about.
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_child_waits_for_no_lock_that_a_thread_of_its_parent_held() -> None:
    client, threads = Client(), Threads("forked")
    tokens = Tokens(client)
    reader, writer = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=use, args=(tokens, client, threads, writer))

    with tokens._lock, client._lock, threads._lock:
        child.start()

    try:
        assert reader.poll(PATIENCE_S)
        assert reader.recv() == "the child called"
    finally:
        child.kill()
        child.join()
        reader.close()
        writer.close()
