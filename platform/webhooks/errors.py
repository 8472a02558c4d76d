"""Errors of webhooks."""

from db.errors import Refusal


class WebhookError(Refusal):
    """The webhook is not as asked for."""

    code = "webhook"


class UnknownWebhook(WebhookError):
    """There is no such webhook."""

    code = "unknown_webhook"
    status = 404


class UnknownDelivery(WebhookError):
    """There is no such delivery."""

    code = "unknown_delivery"
    status = 404


class NameTaken(WebhookError):
    """There is a webhook of that name already."""

    code = "name_taken"
    status = 409


class BadUrl(WebhookError):
    """That is no address to send to."""

    code = "bad_url"


class HostNotAllowed(BadUrl):
    """The tenant's settings (`webhook_hosts`) do not name this host."""

    code = "host_not_allowed"


class BadSecret(WebhookError):
    """A secret reads whsec_ and base64 of 24 to 64 bytes; two with a space between while one replaces the other."""

    code = "bad_secret"


class SecretElsewhere(WebhookError):
    """This webhook is signed with a secret of the tenant; change that one."""

    code = "secret_elsewhere"
    status = 409


class BudgetGone(WebhookError):
    """The budget that this tells of was deleted meanwhile."""

    code = "budget_gone"
    status = 409


class WebhookPaused(WebhookError):
    """This webhook is paused; make it active first, then have the delivery sent again."""

    code = "webhook_paused"
    status = 409


class TooManyWebhooks(WebhookError):
    """A tenant has 50 webhooks at most; remove one first, or have one told of more."""

    code = "too_many_webhooks"
    status = 409
