"""What one attempt of a call may ask of the platform, and for how long.

A look-up waits for the platform's database, whatever the kind did before it. When the attempt is over nothing is
answered any more: a thread that nobody waits for begins nothing behind an outcome that is recorded already.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import TypeVar
from uuid import UUID

from agents.tools.seam import DataSource, McpServer, NoLongerOurs, PlatformAway, ToolContext
from config.redaction import passwords

logger = logging.getLogger(__name__)
T = TypeVar("T")
Wait = tuple[float, float]
"""When it began and ended, in seconds on the monotonic clock."""
AWAY_PAUSE_S = 0.5
"""Between two looks whether the platform's database answers again."""
LOOK_S = 0.1
"""Between two looks whether a look-up is over that the attempt's time ran out in; one that takes less is no wait."""


class ContextUnavailableError(Exception):
    """The platform could not read a secret or a data source."""


class Attempt:
    """The context of one attempt, as its kind sees it. Any thread may ask.

    secrets: gets every secret that is handed out, and none once the attempt is over. sleep: for tests.
    """

    def __init__(self, context: ToolContext, tool: str, secrets: set[str], sleep: Callable[[float], None]) -> None:
        self.tenant_id: UUID = context.tenant_id
        self.run_id: UUID | None = context.run_id
        self.principal_id: UUID = context.principal_id
        self._context = context
        self._tool = tool
        self._secrets = secrets
        self._sleep = sleep
        self._lock = threading.Lock()  # guards what follows
        self._over = False
        self._lost: NoLongerOurs | None = None
        self._looking: list[float] = []  # when each look-up in progress began
        self._waits: list[Wait] = []  # when those that are over and were not quick were in progress: in order, apart
        self._given_s = 0.0  # how much of that `more` has given back

    def secret(self, name: str) -> str:
        """Return the secret's value; raises `LookupError`, `NoLongerOurs` and `ContextUnavailableError`."""
        return self._look_up(self._context.secret, name, lambda value: {value})

    def source(self, name: str) -> DataSource:
        """Return the data source; raises `LookupError`, `NoLongerOurs` and `ContextUnavailableError`."""
        return self._look_up(self._context.source, name, lambda source: passwords(source.url))

    def conceal(self, value: str) -> None:
        """Have this value taken out of what the call gives back, and out of the logs."""
        with self._lock:
            self._secrets.add(value)
        self._context.conceal(value)

    def mcp_server(self, name: str) -> McpServer:
        """Return the MCP server; raises `LookupError`, `NoLongerOurs` and `ContextUnavailableError`."""
        return self._look_up(self._context.mcp_server, name, lambda server: ())

    def mcp_changed(self, server: str, tool: str, sha256: str) -> None:
        """Write down that a tool is defined otherwise now; raises what `mcp_server` raises."""
        self._look_up(lambda name: self._context.mcp_changed(name, tool, sha256), server, lambda nothing: ())

    def begin(self) -> None:
        """Raise `NoLongerOurs` when no effect may be begun any more, or the attempt is over."""
        if self._over:
            raise NoLongerOurs
        try:
            self._context.begin()
        except NoLongerOurs as error:
            self._lost = error
            raise

    def more(self) -> float:
        """Return how many seconds longer the attempt may take: what it waited in look-ups, not counting quick ones.

        One in progress goes on for as long as an effect may be begun.
        """
        with self._lock:
            looking = bool(self._looking)
            waits = joined(self._waits, (min(self._looking), time.monotonic())) if looking else self._waits
            more_s = sum(end - begun for begun, end in waits) - self._given_s
            if more_s <= 0:  # as when a look-up was given time that it did not need, and the next one begins
                return 0.0
            more_s = max(more_s, LOOK_S)
            self._given_s += more_s
        if looking:
            try:
                self.begin()
            except NoLongerOurs:
                return 0.0
        return more_s

    def end(self) -> None:
        """Answer nothing any more. Raises `NoLongerOurs` if the attempt was told so, whatever its tool made of it."""
        with self._lock:
            self._over = True
        if self._lost is not None:
            raise self._lost

    def _look_up(self, ask: Callable[[str], T], name: str, secrets: Callable[[T], Iterable[str]]) -> T:
        begun = time.monotonic()
        with self._lock:
            self._looking.append(begun)
        try:
            found = self._asked(ask, name)
            self.begin()  # again: it may have taken long
        finally:
            with self._lock:
                self._looking.remove(begun)
                end = time.monotonic()
                if end - begun >= LOOK_S:  # by itself: many quick ones that overlap are no long one
                    self._waits = joined(self._waits, (begun, end))
        with self._lock:
            if self._over:
                raise NoLongerOurs
            self._secrets.update(secrets(found))
        return found

    def _asked(self, ask: Callable[[str], T], name: str) -> T:
        """Ask until the platform's database answers; says in the log when that is not at once."""
        away_since: float | None = None
        try:
            while True:
                self.begin()
                try:
                    return ask(name)
                except PlatformAway as error:
                    if away_since is None:
                        away_since = time.monotonic()
                        why = type(error.__cause__ or error).__name__
                        logger.warning("A call of the tool %s waits for the platform's database (%s).", self._tool, why)
                except (LookupError, NoLongerOurs):
                    raise
                except Exception as error:
                    raise ContextUnavailableError("The platform could not read what the tool asked for.") from error
                self._sleep(AWAY_PAUSE_S)
        finally:
            if away_since is not None:
                waited_s = time.monotonic() - away_since
                logger.warning("A call of the tool %s waits no longer, after %.1f s.", self._tool, waited_s)


def joined(waits: list[Wait], last: Wait) -> list[Wait]:
    """Return the waits, which are in order and apart, with one that ends after all of them; what overlaps as one."""
    begun, end = last
    apart = [wait for wait in waits if wait[1] < begun]
    return [*apart, (min([begun, *(wait[0] for wait in waits[len(apart) :])]), end)]
