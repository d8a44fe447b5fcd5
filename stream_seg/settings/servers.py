"""The ``[kafka]`` and ``[redis]`` tables. No secret of theirs is in any ``repr``, ``str`` or error."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from pydantic import BeforeValidator, Field, SecretStr, field_validator

from stream_seg.settings.base import Section, ValueProblemsError, Whole

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["KafkaSettings", "RedisSettings", "is_secret"]

_SECRET = re.compile(
    r"password|passwd|secret|token|credential|jaas|oauth.*config|private|(^|[._])key([._]pem)?$",
    re.IGNORECASE,
)
_NAMES = re.compile(r"((?<!host)name|id|location|file|path|principal)$", re.IGNORECASE)
_RESERVED = {
    "bootstrap_servers": "kafka.bootstrap_servers",
    "session_timeout_ms": "kafka.session_timeout_ms",
    "transaction_timeout_ms": "kafka.transaction_timeout_ms",
    "group_id": "source.group",
    "auto_offset_reset": "source.start",
    "acks": None,
    "enable_auto_commit": None,
    "enable_auto_offset_store": None,
    "enable_idempotence": None,
    "isolation_level": None,
    "key_deserializer": None,
    "key_serializer": None,
    "transactional_id": None,
    "value_deserializer": None,
    "value_serializer": None,
}
_SERVER = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:,/@\[\]]+):(\d{1,5})")
_HIDDEN = "***"
_URL_FORM = "redis://[user:password@]host:port/db, rediss://… or unix:///path/to/socket?db=0"


def is_secret(option: str) -> bool:
    """Say whether a client option of this name holds a secret."""
    return _SECRET.search(option) is not None


def _options(value: object) -> object:
    if not isinstance(value, dict):
        return value
    wrong = [(name, text) for name, entry in value.items() if (text := _option_problem(str(name), entry))]
    if wrong:
        raise ValueProblemsError(wrong)
    return {name: SecretStr(v) if isinstance(v, str) and is_secret(name) else v for name, v in value.items()}


def _option_problem(name: str, entry: object) -> str | None:
    plain = name.replace(".", "_").lower()
    if plain in _RESERVED:
        instead = _RESERVED[plain]
        return f"must be set as {instead}" if instead else "must not be set: stream-seg sets it itself"
    if isinstance(entry, SecretStr):
        return None
    if is_secret(name) and not isinstance(entry, str):
        return "must be text"
    entries = entry if isinstance(entry, list) else [entry]
    if all(isinstance(one, str | int | float | bool) for one in entries):
        return None
    return "must be text, a number, true or false, or a list of those"


def _is_text(option: str) -> bool:
    return is_secret(option) or _NAMES.search(option) is not None


class KafkaSettings(Section):
    """How Kafka is reached."""

    texts = MappingProxyType({"options": _is_text})

    bootstrap_servers: str = Field(
        default="127.0.0.1:9092",
        description="Brokers to start from, separated by commas.",
        json_schema_extra={"allowed": 'host:port, several separated by ","'},
    )
    client: Literal["kafka-python", "confluent"] = Field(
        default="kafka-python",
        description='Which client library is used; "confluent" needs the extra of that name.',
    )
    session_timeout_ms: Whole = Field(
        default=10_000,
        description="Milliseconds after which a worker that is not heard of loses its partitions. "
        "A stock broker refuses less than 6,000.",
    )
    transaction_timeout_ms: Whole = Field(
        default=60_000,
        description="Milliseconds after which the broker aborts a transaction; long enough for a pass.",
    )
    options: Annotated[dict[str, Any], BeforeValidator(_options)] = Field(
        default_factory=dict,
        description="Anything else the client takes (security_protocol, ssl_*, sasl_*), in its own names.",
    )

    @field_validator("bootstrap_servers")
    @classmethod
    def _known_form(cls, value: str) -> str:
        parts = [part.strip() for part in value.split(",")]
        matches = [_SERVER.fullmatch(part) for part in parts]
        if not all(match and 0 < int(match[2]) < 65_536 for match in matches):
            raise ValueError('must be host:port, several separated by ","')
        return ",".join(parts)

    @property
    def servers(self) -> list[str]:
        """The brokers to start from, ``host:port`` each."""
        return self.bootstrap_servers.split(",")

    def client_options(self) -> dict[str, Any]:
        """Give ``options`` for the client, secrets in clear text: never log or print what this returns."""
        return {k: v.get_secret_value() if isinstance(v, SecretStr) else v for k, v in self.options.items()}


class RedisSettings(Section):
    """How Redis (or Valkey) is reached."""

    url: str = Field(
        default="redis://127.0.0.1:6379/0",
        description="Where it is; rediss:// for TLS, unix:// for a socket.",
        json_schema_extra={"allowed": _URL_FORM},
    )

    @field_validator("url")
    @classmethod
    def _known_form(cls, value: str) -> str:
        try:
            parts = urlsplit(value)
            port = parts.port
        except ValueError:
            raise ValueError(f"must be {_URL_FORM}") from None  # the cause would show the address
        place = parts.path if parts.scheme == "unix" else parts.hostname
        database = re.fullmatch(r"(/\d*)?", parts.path) if parts.scheme != "unix" else True
        if parts.scheme not in {"redis", "rediss", "unix"} or not place or port == 0 or not database:
            raise ValueError(f"must be {_URL_FORM}")
        return value

    @property
    def safe_url(self) -> str:
        """The address with any password replaced by ``***``: the one to print."""
        parts = urlsplit(self.url)
        credentials, at, place = parts.netloc.rpartition("@")
        if at:
            user, colon, _ = credentials.partition(":")
            credentials = f"{user}:{_HIDDEN}" if colon else user
        query = parse_qsl(parts.query, keep_blank_values=True)
        shown = [(name, _HIDDEN if is_secret(name) else value) for name, value in query]
        text = urlencode(shown, quote_via=quote, safe="*/")
        return f"{parts.scheme}://{credentials}{at}{place}{parts.path}{'?' if text else ''}{text}"

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """Show the address without its password."""
        yield "url", self.safe_url
