"""A process that makes model calls of a sort, through its gate: `python -m tests.quotas.calling …`, see `main`."""

import json
import socket
import sys
import threading
from typing import Any

import django

Json = Any


def main() -> None:
    """Do what the one argument says, as JSON, and print what came of it.

    hold: enter and charge once a place, print, and wait to be killed. call: in `threads` threads make `calls` calls
    each that the witness at `port` sees. charge: in each of the threads try once to be let through with `tokens`.
    """
    said: Json = json.loads(sys.argv[1])
    django.setup()
    from quotas.provider import Gate

    gate = Gate(**said["gate"])
    if said["do"] == "hold":
        for _ in range(said["places"]):
            place = gate.enter()
            print(bool(place and not place.charge(said["tokens"])), flush=True)
        threading.Event().wait()
    work = {"call": _call, "charge": _charge}[said["do"]]
    made: list[int] = []
    threads = [threading.Thread(target=lambda: made.append(work(gate, said))) for _ in range(said["threads"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(sum(made))


def _call(gate: Any, said: Json) -> int:
    made = 0
    while made < said["calls"]:
        place = gate.enter()
        if place is None:
            threading.Event().wait(0.002)
            continue
        with socket.create_connection(("127.0.0.1", said["port"])) as call:
            call.recv(1)
            call.sendall(b"x")
            call.recv(1)
        place.leave()
        made += 1
    return made


def _charge(gate: Any, said: Json) -> int:
    place = gate.enter()
    if place is None or place.charge(said["tokens"]):
        return 0
    place.leave(said["tokens"])
    return 1


if __name__ == "__main__":
    main()
