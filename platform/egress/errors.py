"""What can go wrong with a call to the outside."""


class EgressError(Exception):
    """The call to the outside did not succeed.

    code: stable; detail: a sentence for people and models, free of header values and bodies.
    sent: whether any byte of a request may have reached a server, so that an effect there is possible.
    """

    code = "egress_failed"

    def __init__(self, detail: str, *, sent: bool = False) -> None:
        super().__init__(detail)
        self.detail = detail
        self.sent = sent


class EgressDenied(EgressError):
    """The platform does not make this call. With `sent`, an earlier hop was answered with a redirect to it."""

    code = "egress_denied"


class EgressFailed(EgressError):
    """The outside did not answer as it should.

    code: `timeout`, `unreachable` (no name, no connection, TLS refused, cut connection), `too_large`,
        `bad_answer` (not HTTP, or a redirect that leads nowhere).
    """

    def __init__(self, code: str, detail: str, *, sent: bool) -> None:
        super().__init__(detail, sent=sent)
        self.code = code


class EgressAllowError(ValueError):
    """An entry of EGRESS_ALLOW is not host:port."""
