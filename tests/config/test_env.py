"""Reading the environment: typed values, and sentences for wrong ones."""

import base64
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.env import Env, decode_keys


def test_an_empty_variable_means_the_default() -> None:
    assert Env({"NAME": "  "}).text("NAME", "default") == "default"


def test_a_secret_is_read_from_the_file_named_by_the_variable(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("s3cret\n")

    assert Env({"SECRET_KEY_FILE": str(tmp_path / "key")}).secret("SECRET_KEY") == "s3cret"


def test_a_secret_given_twice_is_refused(tmp_path: Path) -> None:
    env = Env({"SECRET_KEY": "a", "SECRET_KEY_FILE": str(tmp_path / "key")})

    with pytest.raises(ImproperlyConfigured, match="both set"):
        env.secret("SECRET_KEY")


def test_a_secret_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"SECRET_KEY_FILE names .*/none, which can't be read: No such file"):
        Env({"SECRET_KEY_FILE": str(tmp_path / "none")}).secret("SECRET_KEY")


@pytest.mark.parametrize(("value", "expected"), [("1", True), ("Yes", True), ("off", False), ("0", False), ("", False)])
def test_flags(value: str, expected: bool) -> None:
    assert Env({"DEBUG": value}).flag("DEBUG") is expected


def test_a_flag_that_is_none_is_refused() -> None:
    with pytest.raises(ImproperlyConfigured, match="DEBUG is 'maybe': set it to 1 or 0"):
        Env({"DEBUG": "maybe"}).flag("DEBUG")


def test_some_of_a_list_of_choices() -> None:
    known, default = ("a", "b", "c"), ("a",)
    assert Env({"X": "b, c"}).choices("X", known, default) == ("b", "c")
    assert Env({}).choices("X", known, default) == default
    assert Env({"X": "none"}).choices("X", known, default) == ()
    with pytest.raises(ImproperlyConfigured, match="X names 'd': take some of a, b, c, or none"):
        Env({"X": "a,d"}).choices("X", known, default)


@pytest.mark.parametrize("value", ["0", "65", "two", "1.5"])
def test_a_number_out_of_bounds_is_refused(value: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="between 1 and 64"):
        Env({"WORKERS": value}).integer("WORKERS", 2, minimum=1, maximum=64)


def test_a_list_is_separated_by_commas() -> None:
    assert Env({"HOSTS": "a.example, ,b.example,"}).items("HOSTS") == ("a.example", "b.example")


@pytest.mark.parametrize("value", ["crm", "crm:", ":80", "crm:0", "crm:70000", "crm:http", "crm:*", "127.1:80"])
def test_a_place_for_egress_needs_host_and_port(value: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="EGRESS_ALLOW: "):
        Env({"EGRESS_ALLOW": value}).host_ports("EGRESS_ALLOW")


def test_places_for_egress() -> None:
    assert Env({"EGRESS_ALLOW": "127.0.0.1:9100,[::1]:80"}).host_ports("EGRESS_ALLOW") == ("127.0.0.1:9100", "[::1]:80")


@pytest.mark.parametrize("value", ["node", "bin/node", "=/bin/x", "a b=/bin/x", "x=bin"])
def test_a_program_needs_an_absolute_path(value: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="MCP_STDIO_ALLOW: "):
        Env({"MCP_STDIO_ALLOW": value}).programs("MCP_STDIO_ALLOW")


def test_programs_have_a_path_and_may_have_a_name() -> None:
    assert Env({"P": "time=/opt/time, /opt/orders"}).programs("P") == ("time=/opt/time", "/opt/orders")


@pytest.mark.parametrize("value", ["example.com", "ftp://example.com", "http://", "http://example.com:port"])
def test_a_url_must_be_absolute(value: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="BASE_URL is no URL"):
        Env({"BASE_URL": value}).url("BASE_URL")


def test_a_url_that_is_refused_is_not_repeated() -> None:
    with pytest.raises(ImproperlyConfigured) as refused:
        Env({"REDIS_URL": "mysql://user:hunter2@host"}).url("REDIS_URL", schemes=("redis",))

    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://user:hunt/er2@host",
        "redis://user:hunter2@host:hunter3",
        "redis://user:hunter2\u2100@host",
        "redis://[hunter2",
    ],
)
def test_nor_is_any_part_of_one_that_cannot_be_read(url: str) -> None:
    with pytest.raises(ImproperlyConfigured) as refused:
        Env({"REDIS_URL": url}).url("REDIS_URL", schemes=("redis",))

    assert "hunt" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_an_environment_does_not_show_its_values() -> None:
    assert "hunter2" not in repr(Env({"SECRET_KEY": "hunter2"}))


def test_keys_are_decoded_with_and_without_padding() -> None:
    key = bytes(range(32))
    padded = base64.urlsafe_b64encode(key).decode()

    assert decode_keys("FIELD_KEYS", (padded, padded.rstrip("="))) == (key, key)


@pytest.mark.parametrize("value", ["short", "A" * 44, "!" * 43])
def test_a_key_of_another_length_is_refused(value: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="Key 1 of FIELD_KEYS is not base64url of 32 bytes"):
        decode_keys("FIELD_KEYS", (value,))


@pytest.mark.parametrize(
    ("value", "expected"), [("", (600, 60)), ("5/second", (5, 1)), ("100/hour", (100, 3600)), ("off", None)]
)
def test_a_rate(value: str, expected: tuple[int, int] | None) -> None:
    assert Env({"RATE_LIMITS_KEY": value}).rate("RATE_LIMITS_KEY", "600/minute") == expected


@pytest.mark.parametrize("value", ["0/minute", "-1/minute", "5", "5/", "5/day", "/minute", "many/minute", "1e3/minute"])
def test_a_rate_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="write a rate such as 600/minute, or off"):
        Env({"RATE_LIMITS_KEY": value}).rate("RATE_LIMITS_KEY", "600/minute")


def test_a_cache_may_listen_on_a_unix_socket() -> None:
    url = "unix:///run/redis.sock"

    assert Env({"REDIS_URL": url}).url("REDIS_URL", schemes=("redis", "rediss", "unix")) == url
