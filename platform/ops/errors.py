"""Errors of running the platform."""

from typing import ClassVar


class OpsError(Exception):
    """The platform can't be run like this."""

    code: ClassVar[str] = "ops"
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False


class PortInUse(OpsError):
    """The address to serve on is taken or can't be had."""

    code = "port_in_use"


class ChildDied(OpsError):
    """A process that belongs to the platform ended by itself."""

    code = "child_died"


class StopRequested(OpsError):
    """Somebody asked to stop (SIGTERM, SIGINT or SIGHUP) while the platform was starting."""

    code = "stop_requested"


class UnsafeRuntime(OpsError):
    """The database login has more rights than a process that serves may have."""

    code = "unsafe_runtime"
