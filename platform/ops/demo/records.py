"""What the demo's customer system, fraud checks and shops know. Made up, and the same at every start.

The ids are the same in both tenants on purpose: what one tenant's agent reads must never be the other's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer. risk_score: 0 (safe) to 100, None when not scored yet; income_minor: a year's, in minor units.

    flagged: what the fraud checks say. fraud_check_down: the first fraud check cannot answer for this customer.
    slow_s: seconds the record takes to come out of the archive.
    """

    name: str
    risk_score: int | None
    income_minor: int
    since: str
    flagged: bool = False
    fraud_check_down: bool = False
    slow_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment of an order. amount_minor: in minor units of the order's currency."""

    id: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Order:
    """An order of a shop. slow_s: seconds after which the payment provider answers a refund that it made at once."""

    customer_id: str
    item: str
    delivery: str
    payments: tuple[Payment, ...]
    refundable: bool = True
    currency: str = "EUR"
    slow_s: float = 0.0


CUSTOMERS: Final[Mapping[str, Mapping[str, Customer]]] = {
    "acme": {
        "CUST-1001": Customer("Ada Lindqvist", 12, 5_400_000, "2015-03-02"),
        "CUST-1002": Customer("Boris Hale", 91, 1_900_000, "2024-11-19"),
        "CUST-1003": Customer("Chiara Moreau", 54, 3_650_000, "2019-06-30"),
        "CUST-1004": Customer("Devi Patel", 15, 4_820_000, "2017-01-11", fraud_check_down=True),
        "CUST-1005": Customer("Elif Kaya", 8, 6_100_000, "2012-09-24"),
        "CUST-1006": Customer("Femi Okafor", 47, 3_300_000, "2021-02-08"),
        "CUST-1007": Customer("Grace Lin", 9, 7_250_000, "2009-05-17", slow_s=3.0),
        "CUST-1008": Customer("Hugo Weiss", None, 2_700_000, "2025-08-01"),
        "CUST-1009": Customer("Irene Castro", 11, 5_050_000, "2016-12-05", flagged=True),
    },
    "globex": {
        "CUST-1001": Customer("Jonas Berg", 88, 2_150_000, "2023-04-27"),
        "CUST-1002": Customer("Katya Orlova", 6, 8_400_000, "2011-10-13"),
        "CUST-1003": Customer("Liam Byrne", 61, 3_100_000, "2020-07-22"),
    },
}

ORDERS: Final[Mapping[str, Mapping[str, Order]]] = {
    "acme": {
        "ORD-2001": Order("CUST-1001", "Desk lamp", "delivered, reported broken", (Payment("pay_7001", 4_990),)),
        "ORD-2002": Order(
            "CUST-1002", "Laptop", "delivered, signed for by the customer", (Payment("pay_7002", 129_900),)
        ),
        "ORD-2003": Order(
            "CUST-1003", "Headphones", "delivered", (Payment("pay_7003", 7_900), Payment("pay_7004", 7_900))
        ),
        "ORD-2004": Order("CUST-1004", "Gift card", "used", (Payment("pay_7005", 5_000),), refundable=False),
        "ORD-2005": Order("CUST-1005", "Office chair", "returned", (Payment("pay_7006", 24_500),), slow_s=3.0),
    },
    "globex": {
        "ORD-2001": Order("CUST-1002", "Trail shoes", "returned", (Payment("pay_8001", 11_900),)),
    },
}
