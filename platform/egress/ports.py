"""Ports that no web call goes to, because what listens there takes an HTTP request for something else. Pure.

Governed by the Fetch standard, 2.9 “Port blocking”, and a few services on whose plain-text protocols a request could
have an effect.
"""

_BLOCKED = """
1 7 9 11 13 15 17 19 20 21 22 23 25 37 42 43 53 69 77 79 87 95 101 102 103 104 109 110 111 113 115 117 119 123
135 137 139 143 161 179 389 427 465 512 513 514 515 526 530 531 532 540 548 554 556 563 587 601 636 989 990 993
995 1719 1720 1723 2049 3659 4045 4190 5060 5061 6000 6566 6665 6666 6667 6668 6669 6679 6697 10080
"""
_NOT_THE_WEB = frozenset(map(int, _BLOCKED.split()))
_SERVICES = {
    445: "SMB",
    1433: "SQL Server",
    2181: "ZooKeeper",
    2375: "Docker",
    2376: "Docker",
    3306: "MySQL",
    5432: "PostgreSQL",
    5672: "AMQP",
    6379: "Redis",
    9042: "Cassandra",
    11211: "memcached",
    27017: "MongoDB",
}


def why_not_the_web(port: int) -> str | None:
    """Return why no web call goes to `port`, or None when one may."""
    if port in _SERVICES:
        return f"port {port} is that of {_SERVICES[port]}, not of the web"
    return f"port {port} is that of another service than the web" if port in _NOT_THE_WEB else None
