"""Every setting of an installation, read from the environment (docs/operations.md has them as a table).

A value that can't be right stops the process at its start with a sentence that says how to mend it. In production
(ENVIRONMENT=production, or chosen because the installation is reachable from outside) unsafe values do the same.
"""

import hashlib
import os
from pathlib import Path
from typing import Any

from csp.constants import NONCE, NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from config.checkpoints import Recipient, Witness, recipients, witnesses
from config.database import embedded_databases, external_databases
from config.email import email_settings
from config.env import Env, decode_keys
from config.logs import MASKS
from config.production import choose_environment, refuse_unsafe
from config.redaction import keep
from config.secrets_store import generated_secret
from config.temporal import TemporalSettings, temporal_settings
from detectors.finding import PERSONAL

BASE_DIR = Path(__file__).resolve().parent.parent.parent
_env = Env(os.environ)


# --- The installation -------------------------------------------------------------------------------------------

BASE_URL: str = _env.url("BASE_URL", "http://localhost:8000")
"""Where people and clients reach the installation; links in notices and the origin of the logs are made of it."""

ALLOWED_HOSTS: list[str] = list(_env.items("ALLOWED_HOSTS", ("localhost", "127.0.0.1", "[::1]")))
"""Host names this installation answers to."""

ENVIRONMENT: str = choose_environment(_env)
"""development or production."""

PRODUCTION: bool = ENVIRONMENT == "production"
DEBUG: bool = _env.flag("DEBUG")


def _default_data_dir() -> Path:
    # The embedded database can't run as root: its files must lie where an unprivileged user can reach them.
    if os.name == "posix" and os.geteuid() == 0:
        digest = hashlib.sha256(str(BASE_DIR).encode()).hexdigest()[:8]
        return Path("/var/lib/countersign") / f"{BASE_DIR.name}-{digest}"
    return BASE_DIR / ".data"


DATA_DIR: Path = Path(_env.text("DATA_DIR") or _default_data_dir()).absolute()
"""What the installation keeps on this machine: the embedded database, generated secrets."""

ENGINE: str = _env.choice("ENGINE", ("django_q", "temporal"), "django_q")
"""Which engine starts and resumes runs."""

TEMPORAL: TemporalSettings = temporal_settings(_env)
"""The server that the engine temporal dispatches with."""

REDIS_URL: str = _env.url("REDIS_URL", schemes=("redis", "rediss", "unix"))
"""Where web processes count requests together and q2 keeps its queue; "": each process counts, the database queues."""

WORKERS: int = _env.integer("WORKERS", 2, minimum=0, maximum=64)
"""Worker processes of one `qcluster` or `up`."""

LEASE_SECONDS: int = _env.integer("LEASE_SECONDS", 60, minimum=3, maximum=3600)
"""How long a run stays with a worker that gives no sign of life; a dead worker's runs go on elsewhere after that."""

RUN_TRIES: int = _env.integer("RUN_TRIES", 5, minimum=1, maximum=1000)
"""How often a run is taken up without getting any further before it is set aside and a person is asked."""

MAX_BODY_BYTES: int = _env.integer("MAX_BODY_BYTES", 256 * 1024, minimum=1024, maximum=64 * 1024 * 1024)
"""Largest request body that any address accepts."""

TRUST_PROXY: int = _env.integer("TRUST_PROXY", 0, minimum=0, maximum=8)
"""How many proxies in front append to X-Forwarded-For (and set X-Forwarded-Proto); 0 believes neither."""

RATE_LIMITS: dict[str, tuple[int, int] | None] = {
    "address": _env.rate("RATE_LIMITS_ADDRESS", "60000/minute"),
    "failures": _env.rate("RATE_LIMITS_FAILURES", "1200/minute"),
    "key": _env.rate("RATE_LIMITS_KEY", "30000/minute"),
    "refusals": _env.rate("RATE_LIMITS_REFUSALS", "1200/minute"),
    "user": _env.rate("RATE_LIMITS_USER", "30000/minute"),
    "tenant": _env.rate("RATE_LIMITS_TENANT", "60000/minute"),
    "reports": (60, 60),
    "feedback": (30, 60),
}
"""Requests within seconds, by what they are counted for; None counts nothing. failures: refused keys of an address.
refusals: what is refused to one member, or to one key that opens nothing any more, with a record each.
reports: what browsers of an address report about the content security policy. feedback: pages of links for feedback
that an address opens or sends."""

STREAMS: dict[str, int] = {
    "key": _env.integer("STREAMS_KEY", 1000, minimum=1, maximum=100_000),
    "user": _env.integer("STREAMS_USER", 1000, minimum=1, maximum=100_000),
    "tenant": _env.integer("STREAMS_TENANT", 2000, minimum=1, maximum=100_000),
}
"""Streams of events and live pages that one web process keeps open, by whose they are. key: an API key or a session."""

EXPORTS_BYTES: int = _env.integer("EXPORTS_BYTES", 50 * 10**9, minimum=10**6, maximum=10**15)
"""Bytes that a tenant's kept exports may have together, before they are compressed to about a fifth in the database."""

API_KEY_MAX_DAYS: int = _env.integer("API_KEY_MAX_DAYS", 0, minimum=0, maximum=3650)
"""How many days an API key lives at most; 0 lets it live until it is revoked."""

EGRESS_ALLOW: tuple[str, ...] = _env.host_ports("EGRESS_ALLOW")
"""host:port of private places that outgoing calls may reach; the installation's to set, never a tenant's."""

WEBHOOKS_ALLOW: tuple[str, ...] | None = _env.host_ports_or_off("WEBHOOKS_ALLOW")
"""The same for webhooks and callbacks, in place of EGRESS_ALLOW; None when it is not set: they may reach those, too."""

MCP_STDIO_ALLOW: tuple[str, ...] = _env.programs("MCP_STDIO_ALLOW")
"""Programs that may run as MCP servers, as /path or name=/path; the installation's to set, never a tenant's."""

METRICS_TOKEN: str = _env.secret("METRICS_TOKEN")
"""Who shows it may read /metrics; "" lets this machine alone read them."""

METRICS_TENANTS: bool = _env.flag("METRICS_TENANTS")
"""Whether metrics name tenants."""

OTEL_EXPORTER_OTLP_ENDPOINT: str = _env.url("OTEL_EXPORTER_OTLP_ENDPOINT")


# --- The model's supplier ---------------------------------------------------------------------------------------

ANTHROPIC_API_KEY: str = _env.secret("ANTHROPIC_API_KEY")
ANTHROPIC_BASE_URL: str = _env.url("ANTHROPIC_BASE_URL")
"""Any server that speaks the Messages API; "" is the supplier's own."""

PROVIDER_CONCURRENCY: int = _env.integer("PROVIDER_CONCURRENCY", 0, minimum=0, maximum=1000)
"""Model calls in the air at once, over all workers; 0 for any number."""

PROVIDER_TOKENS_PER_MINUTE: int = _env.integer("PROVIDER_TOKENS_PER_MINUTE", 0, minimum=0, maximum=10**12)
"""Tokens of model calls in a minute, over all workers, without those read from the supplier's cache; 0 for any."""


# --- Secrets ----------------------------------------------------------------------------------------------------


def _secret(name: str) -> str:
    given = _env.secret(name)
    if given or PRODUCTION:
        return given
    try:
        return generated_secret(DATA_DIR / "secrets", name.lower())
    except OSError as error:
        raise ImproperlyConfigured(
            f"DATA_DIR {DATA_DIR} can't be used ({error.strerror}): let it name a folder that this account may write."
        ) from error


SECRET_KEY: str = _secret("SECRET_KEY")
SECRET_KEY_FALLBACKS: list[str] = list(Env({"k": _env.secret("SECRET_KEY_FALLBACKS")}).items("k"))
"""Former keys whose signatures are still believed, so that a new one signs nobody out."""

_field_keys = _secret("FIELD_KEYS")
_signing_keys = _secret("AUDIT_SIGNING_KEYS")


# --- Database ---------------------------------------------------------------------------------------------------

_database_url = _env.secret("DATABASE_URL")
_owner_url = _env.secret("DATABASE_OWNER_URL")
_pool_size = _env.integer("DATABASE_POOL_SIZE", 20, minimum=1, maximum=500)
EMBEDDED_DATABASE: bool = not _database_url
"""Whether the installation runs its own PostgreSQL server out of DATA_DIR."""

DATABASES: dict[str, dict[str, Any]] = (
    embedded_databases(pool_size=_pool_size)
    if EMBEDDED_DATABASE
    else external_databases(url=_database_url, owner_url=_owner_url, pool_size=_pool_size)
)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"


# --- Production refuses unsafe values ---------------------------------------------------------------------------

EMAIL = email_settings(_env.secret("EMAIL_URL"))
keep(TEMPORAL.api_key, TEMPORAL.key)
keep(SECRET_KEY, *SECRET_KEY_FALLBACKS, ANTHROPIC_API_KEY, EMAIL.password, REDIS_URL, _database_url, _owner_url)
keep(*Env({"k": f"{_field_keys},{_signing_keys}"}).items("k"))
refuse_unsafe(
    _env,
    production=PRODUCTION,
    debug=DEBUG,
    base_url=BASE_URL,
    secret_key=SECRET_KEY,
    former_secret_keys=SECRET_KEY_FALLBACKS,
    field_keys=_field_keys,
    signing_keys=_signing_keys,
)
FIELD_KEYS: tuple[bytes, ...] = decode_keys("FIELD_KEYS", Env({"k": _field_keys}).items("k"))
"""Keys that encrypt secrets at rest, newest first."""

AUDIT_SIGNING_KEYS: tuple[bytes, ...] = decode_keys("AUDIT_SIGNING_KEYS", Env({"k": _signing_keys}).items("k"))
"""Ed25519 seeds that sign the logs' checkpoints, newest first."""

AUDIT_CHECKPOINTS_DIR: Path = Path(_env.text("AUDIT_CHECKPOINTS_DIR") or DATA_DIR / "checkpoints").absolute()
"""Where each log's last checkpoint is kept outside the database; all hosts that seal share it."""

WITNESSES: tuple[Witness, ...] = witnesses(_env)
"""Who is asked to cosign the logs' checkpoints."""

WITNESS_ALLOW: tuple[str, ...] = _env.host_ports("WITNESS_ALLOW")
"""host:port of private places where witnesses may be; nothing else is called there for it."""

WITNESS_SECONDS: int = _env.integer("WITNESS_SECONDS", 60, minimum=1, maximum=86400)
"""How often each witness is asked for what is new."""

CHECKPOINT_MAIL: tuple[Recipient, ...] = recipients(_env)
"""To whom the logs' checkpoints are mailed."""

CHECKPOINT_MAIL_HOURS: int = _env.integer("CHECKPOINT_MAIL_HOURS", 24, minimum=1, maximum=720)
"""How often; and whenever AUDIT_SIGNING_KEYS are others than before."""


# --- Django -----------------------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "db",  # before Django's own: its `migrate` provisions roles and partitions
    "audit",
    "tenants",
    "access",
    "vault",
    "quotas",
    "metrics",
    "agents",  # before django_q: its `qcluster` starts the drivers
    "escalations",
    "learning",
    "webhooks",
    "checkpoints",
    "retention",
    "exports",
    "notices",
    "api",
    "signin",
    "console",
    "ops",
    "web.apps.StaffAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "guardian",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "csp",
    "django_htmx",
    "template_partials",
    "lucide",
    "django_q",
]

MIDDLEWARE = [
    "web.headers.Headers",  # in front of all, so that no answer lacks them
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "web.sources.Sources",  # before anything that leaves a record
    "web.rate_limits.RateLimits",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "signin.oidc.confinement.Confinement",
    "signin.sessions.SessionLimits",
    "django_htmx.middleware.HtmxMiddleware",
    "console.wrong_method.WrongMethod",
]

ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
WSGI_APPLICATION = "config.wsgi.application"
APPEND_SLASH = True

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
            ],
            "builtins": ["lucide.templatetags.lucide", "django.templatetags.static"],
        },
    },
]

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True

CACHES = {"default": {"BACKEND": "signin.counts.Counts"}}  # allauth counts in it, so it must not forget too early


# --- Static files -----------------------------------------------------------------------------------------------

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "collected" if PRODUCTION else None  # development serves the files from where they lie
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": (
            "whitenoise.storage.CompressedManifestStaticFilesStorage"
            if PRODUCTION
            else "django.contrib.staticfiles.storage.StaticFilesStorage"
        )
    },
}
WHITENOISE_USE_FINDERS = not PRODUCTION
WHITENOISE_ALLOW_ALL_ORIGINS = False


# --- Signing in -------------------------------------------------------------------------------------------------

AUTH_USER_MODEL = "tenants.User"
AUTHENTICATION_BACKENDS = ["signin.backend.PeopleBackend"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "signin.adapters.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "none"  # People are added by a tenant's owner, who vouches for the address.
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_REAUTHENTICATION_TIMEOUT = 300
ACCOUNT_RATE_LIMITS = {
    "login": None,  # wrong passwords and codes are bounded by `signin.guesses`, which leaves known browsers alone
    "login_failed": None,
    "reset_password": "10/m/ip,60/h/ip,5/h/key",  # and so many over all: `signin.letters`
    "reset_password_from_key": "20/m/ip",
    "change_password": "10/m/user",
    "reauthenticate": "20/m/user",
}
ACCOUNT_FORMS = {
    "change_password": "signin.forms.BoundedPasswordChange",
    "reset_password": "signin.forms.AskForReset",
}
PASSWORD_RESET_TIMEOUT = 2 * 3600
MFA_ADAPTER = "signin.adapters.SecondFactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_RECOVERY_CODE_DIGITS = 10
MFA_TOTP_ISSUER = "Countersign"
MFA_TOTP_PERIOD = 30
MFA_TOTP_TOLERANCE = 1  # a clock may be half a minute off
MFA_RATE_LIMITS = {"webauthn_login": "60/m/ip"}  # nothing can be guessed there
MFA_FORMS = {
    "activate_totp": "signin.forms.BoundedFirstCode",
    "authenticate": "signin.forms.BoundedCode",
    "reauthenticate": "signin.forms.BoundedCodeAgain",
}
USERSESSIONS_ADAPTER = "signin.sessions.SessionsAdapter"
SOCIALACCOUNT_ADAPTER = "signin.oidc.adapter.SocialAccountAdapter"
SOCIALACCOUNT_EMAIL_VERIFICATION = "none"  # the provider vouches for the address, or nobody comes in
ANONYMOUS_USER_NAME = None  # guardian: nobody acts anonymously.
# guardian's own backend would let a superuser pass every tenant; `access` asks its grant tables instead.
SILENCED_SYSTEM_CHECKS = ["guardian.W001"]
GUARDIAN_MONKEY_PATCH_USER = False
GUARDIAN_MONKEY_PATCH_GROUP = False


# --- What a browser is told -------------------------------------------------------------------------------------

REPORTING_PATH = "/csp-reports"
REPORTING_GROUP = "csp"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF, NONCE],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "manifest-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "object-src": [NONE],
        "worker-src": [NONE],
        "frame-src": [NONE],
        "report-uri": [REPORTING_PATH],  # Firefox and Safari; the others take the next one
        "report-to": [REPORTING_GROUP],
    },
}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUST_PROXY else None
SECURE_SSL_REDIRECT = PRODUCTION
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]  # probes come to the process itself
SECURE_HSTS_SECONDS = 31_536_000 if PRODUCTION else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = PRODUCTION
SECURE_HSTS_PRELOAD = PRODUCTION
# The prefix binds a cookie to this very host over TLS: no other host of the domain can set or read it.
_HOST_ONLY = "__Host-" if PRODUCTION else ""
SESSION_COOKIE_NAME = f"{_HOST_ONLY}sessionid"
SESSION_COOKIE_SECURE = PRODUCTION
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_MAX_AGE_S: int = _env.integer("SESSION_HOURS", 12, minimum=1, maximum=24 * 30) * 3600
"""How long a sign-in lasts at most, however busy its person is."""

SESSION_IDLE_S: int = _env.integer("SESSION_IDLE_MINUTES", 60, minimum=5, maximum=24 * 60 * 30) * 60
"""How long a session may lie idle."""

SESSION_COOKIE_AGE = SESSION_MAX_AGE_S
CSRF_COOKIE_NAME = f"{_HOST_ONLY}csrftoken"
CSRF_COOKIE_SECURE = PRODUCTION
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_TRUSTED_ORIGINS = [BASE_URL] if BASE_URL.startswith("https://") else []
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_BODY_BYTES
DATA_UPLOAD_MAX_NUMBER_FIELDS = 1000
DATA_UPLOAD_MAX_NUMBER_FILES = 0  # no page takes files yet


# --- REST -------------------------------------------------------------------------------------------------------

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_SCHEMA_CLASS": "api.schema.Description",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": [],  # `api.bodies` reads bodies, stricter than the framework does
    "DEFAULT_AUTHENTICATION_CLASSES": ["api.authentication.BearerKey"],
    "DEFAULT_PERMISSION_CLASSES": [],
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": None,
    "EXCEPTION_HANDLER": "api.problems.handle",
}
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "Countersign",
    "DESCRIPTION": "Agents propose, people countersign, and the record can be proven.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "POSTPROCESSING_HOOKS": ["api.schema.complete"],
    "SERVE_INCLUDE_SCHEMA": False,
}


# --- Mail -------------------------------------------------------------------------------------------------------

EMAIL_BACKEND = EMAIL.backend
EMAIL_HOST = EMAIL.host
EMAIL_PORT = EMAIL.port
EMAIL_HOST_USER = EMAIL.user
EMAIL_HOST_PASSWORD = EMAIL.password
EMAIL_USE_TLS = EMAIL.starttls
EMAIL_USE_SSL = EMAIL.tls
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = SERVER_EMAIL = _env.text("EMAIL_FROM", "countersign@localhost")


# --- Queues (django-q2); what its values guard against stands in docs and in agents/engine ----------------------

_more = "&" if "?" in REDIS_URL else "?"
Q_CLUSTER: dict[str, Any] = {
    "name": "runs",
    # Whoever queues something waits for Redis no longer than this.
    **({"redis": f"{REDIS_URL}{_more}socket_timeout=5&socket_connect_timeout=5"} if REDIS_URL else {"orm": "default"}),
    "workers": max(WORKERS, 1),
    "timeout": 900,
    "retry": 1000,
    "ack_failures": True,
    "max_attempts": 1,
    "poll": 0.2,
    "recycle": 1_000_000,
    "save_limit": -1,
    "catch_up": False,
    "label": "Queues",
}


# --- Logs: one line of JSON each, to stderr ---------------------------------------------------------------------

LOGGING_CONFIG = "config.logs.configure"
LOG_LEVEL: str = _env.choice("LOG_LEVEL", ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"), "INFO")
LOG_MASKS: tuple[str, ...] = _env.choices("LOG_MASKS", tuple(PERSONAL), MASKS)
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "config.logs.JsonFormatter", "masks": LOG_MASKS}},
    "filters": {"anybodys_doing": {"()": "config.logs.AnybodysDoing"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        "django": {"handlers": [], "level": LOG_LEVEL, "propagate": True},
        "django.security.DisallowedHost": {"filters": ["anybodys_doing"]},
        "django.server": {"handlers": [], "level": LOG_LEVEL, "propagate": True},
        "uvicorn": {"handlers": [], "level": LOG_LEVEL, "propagate": True},
        "uvicorn.access": {"level": "WARNING"},
        # At DEBUG these write down whole requests and answers, with whatever people and tools said in them.
        **{name: {"level": "WARNING"} for name in ("anthropic", "httpcore2", "httpx2", "requests", "urllib3")},
    },
}
DEFAULT_EXCEPTION_REPORTER = "config.debug_page.Reporter"
DEFAULT_EXCEPTION_REPORTER_FILTER = "config.debug_page.Filter"
