"""Where the Temporal engine finds its server, and how it shows who it is."""

from dataclasses import dataclass, field

from django.core.exceptions import ImproperlyConfigured

from config.env import Env


@dataclass(frozen=True, slots=True)
class TemporalSettings:
    """One namespace of a Temporal server.

    address: host:port. task_queue: of the installation, when several share the namespace. api_key: "" for none.
    ca, certificate, key: PEM; "" for the system's authorities, and for no certificate of our own.
    model_rate: model calls within seconds, over all workers; None for any number.
    """

    address: str
    namespace: str
    task_queue: str
    api_key: str = field(default="", repr=False)
    tls: bool = False
    ca: str = ""
    certificate: str = ""
    key: str = field(default="", repr=False)
    model_rate: tuple[int, int] | None = None


def temporal_settings(env: Env) -> TemporalSettings:
    """Read TEMPORAL_*; raises ImproperlyConfigured with a sentence that says how to mend it."""
    ca, certificate, key = (env.secret(f"TEMPORAL_TLS_{name}") for name in ("CA", "CERT", "KEY"))
    api_key = env.secret("TEMPORAL_API_KEY")
    tls = env.flag("TEMPORAL_TLS", default=bool(api_key or ca or certificate))
    if bool(certificate) != bool(key):
        raise ImproperlyConfigured("TEMPORAL_TLS_CERT and TEMPORAL_TLS_KEY belong together: set both or neither.")
    if not tls and (api_key or certificate):
        raise ImproperlyConfigured("TEMPORAL_TLS is off, but a key would go over the wire: leave TEMPORAL_TLS out.")
    address = env.text("TEMPORAL_ADDRESS", "127.0.0.1:7233")
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or "/" in address:
        raise ImproperlyConfigured(f"TEMPORAL_ADDRESS is {address!r}: write it as host:port, such as 127.0.0.1:7233.")
    return TemporalSettings(
        address,
        env.text("TEMPORAL_NAMESPACE", "default"),
        env.text("TEMPORAL_TASK_QUEUE", "countersign"),
        api_key=api_key,
        tls=tls,
        ca=ca,
        certificate=certificate,
        key=key,
        model_rate=env.rate("TEMPORAL_MODEL_RATE", "off"),
    )
