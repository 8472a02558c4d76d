"""What keeps an MCP server from answering."""


class McpError(Exception):
    """The server did not do what it was asked for.

    code: as of `seam.Failed`; detail: a sentence for people and models. sent: whether the request may have reached the
    server, so that an effect there is possible. retryable: whether the same may succeed later.
    """

    def __init__(self, code: str, detail: str, *, sent: bool = False, retryable: bool = False) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.sent = sent
        self.retryable = retryable
