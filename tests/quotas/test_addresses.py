"""Whose request it is, behind any number of proxies, whatever a client writes."""

import pytest
from django.test import RequestFactory
from pytest_django import Settings

from quotas.addresses import client_address, network


def address(peer: str, forwarded: str | None = None) -> str:
    request = RequestFactory().get("/", REMOTE_ADDR=peer)
    if forwarded is not None:
        request.META["HTTP_X_FORWARDED_FOR"] = forwarded
    return client_address(request)


def test_without_a_proxy_the_header_is_ignored(settings: Settings) -> None:
    settings.TRUST_PROXY = 0

    assert address("192.0.2.7", "198.51.100.1") == "192.0.2.7"


@pytest.mark.parametrize(
    ("proxies", "forwarded", "expected"),
    [
        (1, "198.51.100.1", "198.51.100.1"),
        (1, "10.9.9.9, 198.51.100.1", "198.51.100.1"),
        (2, "10.9.9.9, 198.51.100.1, 203.0.113.5", "198.51.100.1"),
        (1, "198.51.100.1:50123", "198.51.100.1"),
        (1, "[2001:db8::1]:443", "2001:db8::1"),
        (1, "2001:DB8:0::1", "2001:db8::1"),
        (1, "fe80::1%eth0", "fe80::1"),
    ],
)
def test_behind_proxies_it_is_what_the_outermost_one_saw(
    settings: Settings, proxies: int, forwarded: str, expected: str
) -> None:
    settings.TRUST_PROXY = proxies

    assert address("10.0.0.1", forwarded) == expected


@pytest.mark.parametrize("forwarded", [None, "", "unknown", "198.51.100.1, ", "1.2.3", "a" * 10_000, ",,,,"])
def test_a_header_that_says_nothing_leaves_the_peer(settings: Settings, forwarded: str | None) -> None:
    settings.TRUST_PROXY = 1

    assert address("10.0.0.1", forwarded) == "10.0.0.1"


def test_fewer_entries_than_proxies_leave_the_peer(settings: Settings) -> None:
    settings.TRUST_PROXY = 2

    assert address("10.0.0.1", "198.51.100.1") == "10.0.0.1"


def test_an_ipv4_address_written_as_ipv6_is_the_same_client() -> None:
    assert address("::ffff:192.0.2.7") == "192.0.2.7"


@pytest.mark.parametrize("peer", ["", "testclient", "/run/app.sock"])
def test_a_peer_without_an_address_is_unknown(peer: str) -> None:
    assert address(peer) == "unknown"


def test_limits_count_ipv6_by_the_network_of_one_customer() -> None:
    assert network("2001:db8:1:2:3:4:5:6") == network("2001:db8:1:2::9") == "2001:db8:1:2::/64"
    assert network("2001:db8:1:3::9") != network("2001:db8:1:2::9")
    assert network("192.0.2.7") == "192.0.2.7"
    assert network("unknown") == "unknown"
