"""Errors of quotas."""

from typing import Final

from db.errors import Refusal

#: Seconds after which one may ask again for what ends at nobody knows what time.
RETRY_AFTER_S: Final = 10


class QuotaError(Refusal):
    """A quota does not allow this now."""

    code = "quota"
    status = 429
    retryable = True


class RateLimited(QuotaError):
    """Too many requests; wait as `Retry-After` says."""

    code = "rate_limited"

    def __init__(self, policy: str, retry_after_s: int) -> None:
        """policy: the limit that refused. retry_after_s: whole seconds until it lets one more through, at least 1."""
        super().__init__()
        self.policy = policy
        self.retry_after_s = retry_after_s


class TooManyStreams(RateLimited):
    """Too many streams are open; end some, or come again as `Retry-After` says."""

    code = "too_many_streams"

    def __init__(self, policy: str) -> None:
        """policy: the limit that refused. How long others' streams last, nobody can say."""
        super().__init__(policy, RETRY_AFTER_S)
