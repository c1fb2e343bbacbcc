"""The site's settings, and the only reader of the environment. README.md lists what can be set."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

from chatsite.addresses import host_of, local_names, local_origins, origins_of
from chatsite.postgresql import connection_limits

BASE_DIR = Path(__file__).resolve().parent.parent


class Environment(environ.Env):
    """The environment; a value that cannot be read is refused by its variable's name."""

    def get_value(self, var: str, *args: Any, **more: Any) -> Any:
        """As environ's. Raises ImproperlyConfigured, which never quotes a value."""
        try:
            return super().get_value(var, *args, **more)
        except ValueError:
            raise ImproperlyConfigured(f"{var} must be a number.") from None


env = Environment()


def _secret_key(folder: Path) -> str:
    """Read the key file, or make one that only its owner can read.

    It gets its name when it is complete: another process never reads half of it, and a full disk
    leaves none.
    """
    path = folder / "secret_key"
    if not path.exists():
        draft = folder / f"secret_key.{secrets.token_hex(8)}"
        try:
            draft.touch(0o600, exist_ok=False)
            draft.write_text(secrets.token_urlsafe(64))
            with contextlib.suppress(FileExistsError):
                os.link(draft, path)
        finally:
            draft.unlink(missing_ok=True)
    return path.read_text().strip()


# -- Where state lives, and how the site is reached -------------------------------------------

CHATSITE_VAR = Path(env.str("CHATSITE_VAR", str(BASE_DIR / "var"))).resolve()
CHATSITE_VAR.mkdir(mode=0o700, parents=True, exist_ok=True)  # everybody's chats are in it
CHATSITE_URL = env.str("CHATSITE_URL", "").rstrip("/")
CHATSITE_ADDRESS = env.str("CHATSITE_ADDRESS", "127.0.0.1")
CHATSITE_PORT = env.int("CHATSITE_PORT", 8000)
CHATSITE_TRUSTED_PROXIES = env.list("CHATSITE_TRUSTED_PROXIES", default=[])
CHATSITE_ORIGINS = origins_of(CHATSITE_URL) or local_origins(CHATSITE_ADDRESS, CHATSITE_PORT)

SECRET_KEY = env.str("SECRET_KEY", "") or _secret_key(CHATSITE_VAR)
DEBUG = env.bool("DEBUG", False)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[]) or (
    [host_of(CHATSITE_URL)] if CHATSITE_URL else local_names(CHATSITE_ADDRESS)
)

# -- The model and its engine -----------------------------------------------------------------

CHATSITE_ENGINE = env.str("CHATSITE_ENGINE", "transformers")
BUNDLED_MODEL = str(BASE_DIR / "bundled_model")
CHATSITE_MODEL = env.str("CHATSITE_MODEL", BUNDLED_MODEL)
CHATSITE_MODEL_NAME = env.str("CHATSITE_MODEL_NAME", "")
CHATSITE_DEVICE = env.str("CHATSITE_DEVICE", "auto")
CHATSITE_DTYPE = env.str("CHATSITE_DTYPE", "auto")
CHATSITE_SLOTS = env.int("CHATSITE_SLOTS", 0)
CHATSITE_THREADS = env.int("CHATSITE_THREADS", 0)
CHATSITE_CONTEXT = env.int("CHATSITE_CONTEXT", 0)
CHATSITE_LOAD_SECONDS = env.int("CHATSITE_LOAD_SECONDS", 1_800)
CHATSITE_HANG_SECONDS = env.int("CHATSITE_HANG_SECONDS", 60)
CHATSITE_ECHO_DELAY = env.float("CHATSITE_ECHO_DELAY", 0.03)
CHATSITE_ECHO_TEXT = env.str("CHATSITE_ECHO_TEXT", "")
CHATSITE_ECHO_REASONING = env.str("CHATSITE_ECHO_REASONING", "")
CHATSITE_ECHO_POISON = env.str("CHATSITE_ECHO_POISON", "")
CHATSITE_ECHO_HANG = env.str("CHATSITE_ECHO_HANG", "")
CHATSITE_ECHO_KILL = env.str("CHATSITE_ECHO_KILL", "")
CHATSITE_OPENAI_URL = env.str("CHATSITE_OPENAI_URL", "http://127.0.0.1:8001/v1")
CHATSITE_OPENAI_KEY = env.str("CHATSITE_OPENAI_KEY", "")
CHATSITE_OPENAI_MODEL = env.str("CHATSITE_OPENAI_MODEL", "")
CHATSITE_OPENAI_CONNECT_SECONDS = env.float("CHATSITE_OPENAI_CONNECT_SECONDS", 5)
CHATSITE_OPENAI_FIRST_SECONDS = env.float("CHATSITE_OPENAI_FIRST_SECONDS", 120)
CHATSITE_OPENAI_TOKEN_SECONDS = env.float("CHATSITE_OPENAI_TOKEN_SECONDS", 30)
CHATSITE_OPENAI_RETRIES = env.int("CHATSITE_OPENAI_RETRIES", 3)
CHATSITE_OPENAI_RESUME = env.str("CHATSITE_OPENAI_RESUME", "auto")
CHATSITE_SYSTEM_PROMPT = env.str("CHATSITE_SYSTEM_PROMPT", "")

CHATSITE_TEMPERATURE = env.float("CHATSITE_TEMPERATURE", 0.7)
CHATSITE_TOP_K = env.int("CHATSITE_TOP_K", 0)
CHATSITE_TOP_P = env.float("CHATSITE_TOP_P", 0.9)
CHATSITE_REPETITION_PENALTY = env.float("CHATSITE_REPETITION_PENALTY", 1.0)
CHATSITE_MAX_NEW_TOKENS = env.int("CHATSITE_MAX_NEW_TOKENS", 2_048)
CHATSITE_MAX_SECONDS = env.int("CHATSITE_MAX_SECONDS", 600)

# -- The queue: what a new one starts with; afterwards the dashboard changes it ----------------

CHATSITE_LIMIT = env.int("CHATSITE_LIMIT", 4)
CHATSITE_QUEUE_SIZE = env.int("CHATSITE_QUEUE_SIZE", 1_000)
CHATSITE_RUNNING_PER_USER = env.int("CHATSITE_RUNNING_PER_USER", 1)
CHATSITE_WAITING_PER_USER = env.int("CHATSITE_WAITING_PER_USER", 5)
CHATSITE_SENDS_PER_MINUTE = env.int("CHATSITE_SENDS_PER_MINUTE", 20)
CHATSITE_SENDS_BURST = env.int("CHATSITE_SENDS_BURST", 5)

# -- People -----------------------------------------------------------------------------------

CHATSITE_GUESTS = env.bool("CHATSITE_GUESTS", True)
CHATSITE_SIGNUP = env.bool("CHATSITE_SIGNUP", True)
CHATSITE_GUESTS_PER_HOUR = env.int("CHATSITE_GUESTS_PER_HOUR", 60)
CHATSITE_SIGNUPS_PER_HOUR = env.int("CHATSITE_SIGNUPS_PER_HOUR", 60)
CHATSITE_SOCKETS_PER_USER = env.int("CHATSITE_SOCKETS_PER_USER", 8)
CHATSITE_SOCKETS_PER_ADDRESS = env.int("CHATSITE_SOCKETS_PER_ADDRESS", 200)
CHATSITE_FRAMES_PER_MINUTE = env.int("CHATSITE_FRAMES_PER_MINUTE", 240)
CHATSITE_GUEST_DAYS = env.int("CHATSITE_GUEST_DAYS", 30)

# -- Django -----------------------------------------------------------------------------------

INSTALLED_APPS = [
    "unfold",
    "queueadmin",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "csp",
    "axes",
    "chat",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "chatsite.middleware.AdminPolicy",
    "servestatic.middleware.ServeStaticMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "chatsite.urls"
ASGI_APPLICATION = "chatsite.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "chat.views.site",
            ],
        },
    }
]

_database = env.str("DATABASE_URL", "") or f"sqlite:///{CHATSITE_VAR / 'chatsite.sqlite3'}"
if urlsplit(_database).scheme not in env.DB_SCHEMES:
    raise ImproperlyConfigured(
        "DATABASE_URL is no address of a database. For PostgreSQL it looks like "
        "postgres://user:password@host/name."
    )
DATABASES = {"default": env.db_url_config(_database)}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # SQLite needs the write lock from a transaction's first statement on: a lock that is only asked
    # for by the first write fails at once, without waiting, when another connection wrote since.
    DATABASES["default"] |= {
        "ENGINE": "chatsite.sqlite3",
        "CONN_HEALTH_CHECKS": True,
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
        },
        # A file, since several threads and processes share it; one in memory cannot be shared.
        "TEST": {"NAME": str(CHATSITE_VAR / "test.sqlite3")},
    }
else:
    DATABASES["default"] |= connection_limits(
        env.int("CHATSITE_DATABASE_CONNECTIONS", 16), DATABASES["default"].get("OPTIONS", {})
    )

REDIS_URL = env.str("REDIS_URL", "")
CHANNEL_LAYERS: dict[str, dict[str, object]]
if REDIS_URL:
    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "chat.redis_layer.RedisLayer",
            "CONFIG": {
                "hosts": [{"address": REDIS_URL, "socket_timeout": None, "max_connections": 1_000}],
                # Publishing knows no database numbers: sites that share a Redis must not meet.
                "prefix": f"chatsite{urlsplit(REDIS_URL).path or '/0'}",
            },
        }
    }
else:
    # An unread message older than `expiry` would remove its channel from every group.
    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "chat.layer.InMemoryLayer",
            "CONFIG": {"capacity": 10_000, "expiry": 3_600},
        }
    }

AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "new-chat"
LOGOUT_REDIRECT_URL = "new-chat"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# By user name and address together: by address alone, one person locks out a whole office.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = 0.25  # hours
AXES_RESET_ON_SUCCESS = True
AXES_CLIENT_IP_CALLABLE = "chatsite.addresses.client_address"
AXES_LOCKOUT_TEMPLATE = "registration/locked.html"
AXES_VERBOSE = False

LANGUAGE_CODE = env.str("CHATSITE_LANGUAGE", "en")
LANGUAGES = [("en", "English")]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = env.str("TIME_ZONE", "UTC")
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = CHATSITE_VAR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "chatsite.storage.HashedStorage"},
}

# -- Security ---------------------------------------------------------------------------------

HTTPS = CHATSITE_URL.startswith("https://")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_NAME = "chatsite_session"
SESSION_COOKIE_HTTPONLY = True
CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_AGE = 30 * 24 * 3_600
CSRF_TRUSTED_ORIGINS = origins_of(CHATSITE_URL)
SECURE_SSL_REDIRECT = HTTPS and env.bool("CHATSITE_SSL_REDIRECT", True)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if CHATSITE_TRUSTED_PROXIES else None
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin" if HTTPS else None
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 256 * 1024

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
        "form-action": ["'self'"],
    }
}

# -- Operators' pages -------------------------------------------------------------------------

# The colours of static/chat/tokens.css, as the shades that unfold's styles name.
UNFOLD = {
    "SITE_TITLE": "Chatsite",
    "SITE_HEADER": "Chatsite",
    "SITE_ICON": "queueadmin.site.mark",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": "queueadmin.site.mark"},
    ],
    "SIDEBAR": {"navigation": "queueadmin.site.navigation"},
    "BORDER_RADIUS": "6px",
    "COLORS": {
        "base": {
            "50": "#fbfaf7",
            "100": "#f3f2ed",
            "200": "#dedcd3",
            "300": "#c8c9c2",
            "400": "#a3aaa4",
            "500": "#737b76",
            "600": "#5f645f",
            "700": "#3e4543",
            "800": "#292e2c",
            "900": "#1c1f1e",
            "950": "#151716",
        },
        "primary": {
            "50": "#eef6f5",
            "100": "#dcecea",
            "200": "#b5dbd7",
            "300": "#8fd4cc",
            "400": "#63c9bf",
            "500": "#4bb0a7",
            "600": "#0b6a66",
            "700": "#095753",
            "800": "#1e3a38",
            "900": "#16302e",
            "950": "#0e1a19",
        },
    },
}

# -- Logs: one line for each transition, never a prompt or a reply -----------------------------

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env.str("CHATSITE_LOG_LEVEL", "INFO")},
    "loggers": {
        # Every 404 of a stranger is not news; an error of ours is, and django.request tells it.
        "django.channels.server": {"level": "WARNING"},
        "daphne": {"level": "WARNING"},
        "twisted": {"level": "WARNING"},
        "asyncio": {"level": "WARNING"},
        "axes": {"level": "WARNING"},
        "httpx": {"level": "WARNING"},
        # Every attempt to connect while PostgreSQL is away; whoever needed it says so, too.
        "psycopg.pool": {"level": "ERROR"},
    },
}
