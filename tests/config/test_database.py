"""DATABASE_URL as Django's database aliases."""

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection

from config.database import embedded_databases, external_databases, parse_database_url


def test_every_part_of_a_url_is_read() -> None:
    database = parse_database_url("DATABASE_URL", "postgres://us%40er:p%2Fw@db.example:6432/main?sslmode=require")

    assert (database["USER"], database["PASSWORD"]) == ("us@er", "p/w")
    assert (database["HOST"], database["PORT"], database["NAME"]) == ("db.example", "6432", "main")
    assert database["OPTIONS"]["sslmode"] == "require"


def test_a_socket_folder_is_given_as_the_host_in_the_query() -> None:
    database = parse_database_url("DATABASE_URL", "postgresql://app@/main?host=%2Frun%2Fpostgresql&port=5433")

    assert (database["HOST"], database["PORT"]) == ("/run/postgresql", "5433")


@pytest.mark.parametrize(
    ("url", "missing"), [("postgresql://app@host/", "names no database"), ("postgresql://host/main", "names no user")]
)
def test_a_missing_part_is_named(url: str, missing: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=missing):
        parse_database_url("DATABASE_URL", url)


def test_another_kind_of_database_is_refused_without_repeating_the_password() -> None:
    with pytest.raises(ImproperlyConfigured, match="DATABASE_URL is no URL") as refused:
        parse_database_url("DATABASE_URL", "mysql://app:hunter2@host/main")

    assert "hunter2" not in str(refused.value)


def test_logins_with_other_names_enter_the_roles() -> None:
    url = "postgresql://web@h/d?options=-c%20jit%3Doff"
    databases = external_databases(url=url, owner_url="postgresql://dba@h/d", pool_size=5)

    options = databases["default"]["OPTIONS"]["options"]
    assert options.startswith("-c jit=off -c plan_cache_mode=force_generic_plan ")
    assert options.endswith(" -c role=countersign_app")
    assert databases["owner"]["OPTIONS"]["options"] == "-c role=countersign_owner"


def test_logins_named_like_the_roles_enter_nothing() -> None:
    databases = external_databases(
        url="postgresql://countersign_app@h/d", owner_url="postgresql://countersign_owner@h/d", pool_size=5
    )

    assert "role=" not in databases["default"]["OPTIONS"]["options"]
    assert "options" not in databases["owner"]["OPTIONS"]


def test_only_the_runtime_alias_has_a_pool() -> None:
    databases = embedded_databases(pool_size=7)

    assert databases["default"]["OPTIONS"]["pool"]["max_size"] == 7
    assert "pool" not in databases["owner"]["OPTIONS"]


def test_a_server_that_is_gone_is_waited_for_half_a_minute() -> None:
    databases = external_databases(url="postgresql://app@h/d", owner_url="postgresql://dba@h/d", pool_size=5)

    for alias in ("default", "owner"):
        options = databases[alias]["OPTIONS"]
        assert (options["connect_timeout"], options["tcp_user_timeout"]) == ("5", "30000")
        assert [options[f"keepalives_{name}"] for name in ("idle", "interval", "count")] == ["15", "5", "3"]


def test_the_operators_url_has_the_last_word_on_that() -> None:
    database = parse_database_url("DATABASE_URL", "postgresql://app@h/d?tcp_user_timeout=0&connect_timeout=20")

    assert (database["OPTIONS"]["tcp_user_timeout"], database["OPTIONS"]["connect_timeout"]) == ("0", "20")
    assert database["OPTIONS"]["keepalives_idle"] == "15"


def test_a_process_that_hangs_in_a_transaction_holds_its_locks_for_half_a_minute(database: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('idle_in_transaction_session_timeout')")

        assert cursor.fetchone() == ("30s",)
