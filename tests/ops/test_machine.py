"""What a running machine sees to by itself."""

from datetime import UTC, datetime

import pytest
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from db import partitions, roles
from ops import machine


def test_a_missing_partition_is_made_once_a_day(
    owner_connection: BaseDatabaseWrapper, capsys: pytest.CaptureFixture[str]
) -> None:
    last = partitions.partition_name("audit_record", list(partitions.months(datetime.now(UTC).date(), 13))[-1])
    with roles.journal("owner"), owner_connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE {last}")

    assert machine.keep_partitions() == machine.PARTITIONS_SECONDS
    assert last in partitions.present("default")
    assert last in capsys.readouterr().err
    assert machine.keep_partitions() == machine.PARTITIONS_SECONDS
    assert capsys.readouterr().err == ""


def test_a_failure_stops_nothing_and_is_tried_again_sooner(
    database: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.close_connections()
    monkeypatch.setitem(connections["owner"].settings_dict, "NAME", "absent")

    assert machine.keep_partitions() == machine.AGAIN_SECONDS
    assert "could not be seen to" in capsys.readouterr().err
