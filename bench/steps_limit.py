"""The limit of disk and server for a step journal: `pgbench`, one INSERT of 600 bytes of JSON and one commit a step."""

import re
import subprocess

from postgres import PostgreSQL, client_program

DATABASE = "pgbench"
TABLES = """
create table step (run_id bigint, seq bigint, kind text, output jsonb, at timestamptz default now(),
    primary key (run_id, seq));
create table sample (output jsonb);
insert into sample select jsonb_build_object('text', repeat(md5('x'), 18))
"""
SCRIPT = """\\set n random(1, 1000000000)
insert into step (run_id, seq, kind, output)
values (:client_id * 1000000000::bigint + :n, random()*1e9, 'model', (select output from sample));
"""


def prepare(server: PostgreSQL) -> bool:
    """Make the tables; False where there is no pgbench."""
    if client_program("pgbench") is None:
        return False
    server.create(DATABASE)
    for statement in TABLES.split(";"):
        server.rows(statement, DATABASE)
    (server.home / "script.sql").write_text(SCRIPT)
    return True


def steps_per_second(server: PostgreSQL, *, clients: int, seconds: int) -> float:
    """Measure once."""
    program = client_program("pgbench") or "pgbench"
    script = str(server.home / "script.sql")
    command = [program, "-n", "-M", "prepared", "-c", str(clients), "-j", "2", "-T", str(seconds), "-f", script]
    command += ["-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres", DATABASE]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"tps = ([\d.]+)", shown)
    if found is None:
        raise RuntimeError(f"pgbench said: {shown}")
    return float(found[1])
