"""WITNESSES and CHECKPOINT_MAIL, as people write them, and rightly refused."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from audit.log.note import Signer
from config.checkpoints import Recipient, recipients, witnesses
from config.env import Env
from tests.checkpoints.witness import Witness

ONE, TWO = (Witness(f"witness.example/{name}", seed * 32).vkey for name, seed in (("one", b"1"), ("two", b"2")))


def test_witnesses_are_keys_with_addresses_and_perhaps_logs() -> None:
    found = witnesses(Env({"WITNESSES": f"{ONE} https://one.example/w/, {TWO}  http://two.example acme platform"}))

    assert [each.url for each in found] == ["https://one.example/w", "http://two.example"]
    assert [each.key.text for each in found] == [ONE, TWO]
    assert [each.logs for each in found] == [(), ("acme", "platform")]
    assert ONE.startswith(found[0].name + "+")
    assert witnesses(Env({})) == ()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (ONE, "no URL"),
        (f"{ONE} one.example", "no URL"),
        (f"{ONE} ftp://one.example", "no URL"),
        ("https://one.example", "no verifier key"),
        (f"{ONE[:-4]}AAAA https://one.example", "says the id"),
        (f"{Signer('log.example/log', bytes(32)).key.text} https://one.example", "is a log's, not a witness's"),
        (f"{ONE} https://one.example,{ONE} https://other.example", "twice"),
        (f"{ONE} https://one.example Acme!", "slugs"),
    ],
)
def test_what_cannot_be_asked_stops_the_process(value: str, words: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=words):
        witnesses(Env({"WITNESSES": value}))


def test_recipients_are_addresses_with_or_without_a_log() -> None:
    found = recipients(Env({"CHECKPOINT_MAIL": "a@b.example, acme=c@d.example,platform=e@f.example,a@b.example"}))

    assert found == (
        Recipient("", "a@b.example"),
        Recipient("acme", "c@d.example"),
        Recipient("platform", "e@f.example"),
    )
    assert [each.entry for each in found] == ["a@b.example", "acme=c@d.example", "platform=e@f.example"]


@pytest.mark.parametrize("value", ["somebody", "=a@b.example", "Acme!=a@b.example", "a b@c.example", "a@b@c", "acme="])
def test_what_is_no_address_stops_the_process(value: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="is neither an address nor log=address"):
        recipients(Env({"CHECKPOINT_MAIL": value}))
