"""Webhooks over REST, from the first delivery to its replay under two secrets."""

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from tenants.models import Role
from tenants.principal import Principal
from tests.api.conftest import caller
from tests.webhooks.conftest import talked
from tests.webhooks.receiver import Receiver
from tests.webhooks.test_sending import send_all
from tests.worlds import World, world

SCOPES = ("webhooks:write", "runs:read", "escalations:read")


def test_what_failed_is_in_the_log_and_is_sent_again_under_both_secrets(
    acme: World, olga: Principal, receiver: Receiver
) -> None:
    owner = caller(acme, olga, *SCOPES)
    made = owner.post("webhooks", {"name": "crm", "url": receiver.url, "events": ["run.completed"]}).json
    receiver.answers = [503]
    talked(acme)
    send_all(acme)
    [failed] = owner.get(f"webhooks/{made['id']}/deliveries").json["results"]
    assert (failed["status"], failed["attempts"], failed["answered"]) == ("pending", 1, 503)
    assert failed["next_at"] is not None

    rotated = owner.post(f"webhooks/{made['id']}/rotate", {"overlap_s": 3600}).json
    again = owner.post(f"webhooks/{made['id']}/deliveries/{failed['id']}/replay")
    assert (again.status, again.json["status"], again.json["attempts"]) == (202, "pending", 0)
    send_all(acme)

    (first, _), (headers, body) = receiver.came
    assert headers["webhook-id"] == first["webhook-id"] == failed["webhook_id"]
    for secret in (made["secret"], rotated["secret"]):
        Webhook(secret).verify(body, headers)
    assert owner.get(f"webhooks/{made['id']}/deliveries").json["results"][0]["status"] == "delivered"
    with pytest.raises(WebhookVerificationError):
        Webhook(owner.post(f"webhooks/{made['id']}/rotate", {"overlap_s": 0}).json["secret"]).verify(body, headers)


def test_bob_and_carol_reach_none_of_it(acme: World, olga: Principal, receiver: Receiver) -> None:
    made = caller(acme, olga, *SCOPES).post("webhooks", {"name": "crm", "url": receiver.url}).json
    elsewhere = world()
    carol = caller(elsewhere, elsewhere.member("carol", Role.OWNER), *SCOPES)
    bob = caller(acme, acme.bob, *SCOPES)

    for path in (f"webhooks/{made['id']}", f"webhooks/{made['id']}/deliveries"):
        assert (bob.get(path).status, carol.get(path).status) == (403, 404)
    assert carol.post(f"webhooks/{made['id']}/rotate", {"overlap_s": 0}).status == 404
