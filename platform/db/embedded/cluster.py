"""Making a cluster, and telling why one can't be used."""

import re
import shutil

from db.embedded.account import Account
from db.embedded.binaries import Binaries
from db.embedded.errors import EmbeddedServerError
from db.embedded.layout import PORT, Layout

SUPERUSER = "postgres"

_CONFIGURATION = """\
# Written at each start; put your own settings into postgresql.conf.
listen_addresses = ''
port = {port}
unix_socket_directories = '{socket_folder}'
unix_socket_permissions = 0700
max_connections = 200
timezone = 'UTC'
log_timezone = 'UTC'
# Statements and details can hold personal data, which must stay erasable: the log gets the error alone.
log_min_error_statement = panic
log_error_verbosity = terse
"""
_FIRST_VERSION_WITH_BUILTIN_LOCALE = 17
_LOG_LIMIT_BYTES = 10 * 1024 * 1024


def make_cluster(layout: Layout, account: Account, binaries: Binaries) -> None:
    """Make the cluster, if there is none; an interrupted attempt leaves nothing that looks like one.

    Durability is PostgreSQL's own default: fsync, full pages and synchronous commit on; pages carry checksums.
    Raises EmbeddedServerError if it can't be made, or if a cluster is there that these programs can't run.
    """
    if layout.data.exists():
        _check_version(layout, binaries)
        return
    draft = layout.root / "data.new"
    if draft.exists():
        shutil.rmtree(draft)
    locale = (
        ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        if binaries.major >= _FIRST_VERSION_WITH_BUILTIN_LOCALE
        else ["--locale=C.UTF-8"]
    )
    command = [binaries.program("initdb"), f"--pgdata={draft}", f"--username={SUPERUSER}", "--encoding=UTF8", *locale]
    command += ["--auth-local=trust", "--auth-host=reject", "--data-checksums"]
    with layout.log.open("a") as log:
        made = account.run(command, stdout=log, stderr=log)
    if made.returncode != 0:
        raise EmbeddedServerError(
            f"The database can't be made in {layout.root}: {last_complaint(layout, 0)}. Free space or set DATA_DIR."
        )
    with (draft / "postgresql.conf").open("a") as configuration:
        configuration.write("\ninclude = 'countersign.conf'\n")
    draft.rename(layout.data)


def write_configuration(layout: Layout, account: Account) -> None:
    """Write the settings that depend on where the files lie, and keep the log from growing without bound."""
    folder = str(layout.socket_folder).replace('"', '""').replace("'", "''")
    text = _CONFIGURATION.format(port=PORT, socket_folder=f'"{folder}"')
    path = layout.data / "countersign.conf"
    path.write_text(text)
    account.give(path)
    if layout.log.exists() and layout.log.stat().st_size > _LOG_LIMIT_BYTES:
        layout.log.replace(layout.log.with_suffix(".log.1"))
    layout.log.touch()
    account.give(layout.log)


def last_complaint(layout: Layout, offset: int) -> str:
    """The last thing PostgreSQL complained of in its log after `offset` bytes."""
    text = ""
    if layout.log.exists():
        with layout.log.open("rb") as log:
            log.seek(offset)
            text = log.read().decode(errors="replace")
    complaints = re.findall(r"(?:FATAL|PANIC|error|ERROR):\s+(.+)", text)
    lines = complaints[-1:] or text.split("\n")[-4:]
    return " ".join(lines).strip().rstrip(".") or "it gave no reason"


def _check_version(layout: Layout, binaries: Binaries) -> None:
    try:
        found = (layout.data / "PG_VERSION").read_text().strip()
    except OSError:
        raise EmbeddedServerError(
            f"The database folder {layout.data} is damaged (it has no PG_VERSION): restore it from a backup,"
            " or move it away to begin with an empty database."
        ) from None
    if found != str(binaries.major):
        raise EmbeddedServerError(
            f"The database folder {layout.data} was made by PostgreSQL {found}, and PostgreSQL {binaries.major} is"
            f" installed: dump it with version {found} and load it anew, or move it away to begin anew."
        )
