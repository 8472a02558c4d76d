"""Connections to Temporal."""

import logging
from functools import lru_cache
from typing import Final

from temporalio.client import Client
from temporalio.runtime import LogForwardingConfig, LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter
from temporalio.service import RetryConfig, TLSConfig

from config.temporal import TemporalSettings

#: The threads of Temporal's own core tell our log, so that its lines have our form.
_LOGGER: Final = logging.getLogger("temporalio.core")


def _is_plain(record: logging.LogRecord) -> bool:
    """Take out what has no form of its own; all of it is in the message."""
    vars(record).pop("temporal_log", None)
    return True


_LOGGER.addFilter(_is_plain)

_BRIEFLY: Final = RetryConfig(max_elapsed_time_millis=2000, max_retries=3)


async def connect(there: TemporalSettings, *, lazy: bool = False) -> Client:
    """Connect to a namespace. lazy: not before the first call; what fails is then tried again for a moment only.

    Raises `RuntimeError` when no server answers there.
    """
    return await Client.connect(
        there.address,
        namespace=there.namespace,
        api_key=there.api_key or None,
        tls=_tls(there),
        lazy=lazy,
        retry_config=_BRIEFLY if lazy else None,
        runtime=_runtime(),
    )


def _tls(there: TemporalSettings) -> TLSConfig | bool:
    if not there.tls:
        return False
    return TLSConfig(
        server_root_ca_cert=there.ca.encode() or None,
        client_cert=there.certificate.encode() or None,
        client_private_key=there.key.encode() or None,
    )


@lru_cache(maxsize=1)
def _runtime() -> Runtime:
    told = LoggingConfig(
        filter=TelemetryFilter(core_level="ERROR", other_level="ERROR"),
        forwarding=LogForwardingConfig(logger=_LOGGER, append_target_to_name=False),
    )
    return Runtime(telemetry=TelemetryConfig(logging=told))
