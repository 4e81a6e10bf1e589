"""Settings: name, type, default and help text of each, and where values are read from."""

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints
from urllib.parse import urlsplit, urlunsplit

import msgspec
from msgspec import Meta
from platformdirs import user_config_path, user_data_path

from innkeeper.errors import OperatorError

PREFIX = "INNKEEPER_"
# `serve` passes its settings to its child processes in this environment variable. A command line
# would show the password in the database address to every user of the machine.
RESOLVED = PREFIX + "SETTINGS_JSON"

MASK = "***"

DUCKDB = "duckdb"
SPARK = "spark"
"""Engines of the lake."""


def _setting(default: Any, help_text: str, *, secret: bool = False) -> Any:
    return field(default=default, metadata={"help": help_text, "secret": secret})


@dataclass(frozen=True, slots=True)
class Declaration:
    """One setting, as the documentation and `innkeeper settings` show it."""

    name: str
    type: Any
    default: Any
    help: str

    @property
    def environment(self) -> str:
        return PREFIX + self.name.upper()


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one process. Create them with `load`, which validates every value."""

    host: str = _setting("127.0.0.1", "Address to listen on.")
    port: Annotated[int, Meta(ge=0, le=65535)] = _setting(
        8420, "Port to listen on; 0 picks a free one."
    )
    data: Path = field(
        default_factory=lambda: user_data_path("innkeeper", appauthor=False),
        metadata={"help": "Folder of the embedded database and of Innkeeper's other files."},
    )
    database: str = _setting(
        "", "Address of a PostgreSQL server (postgresql://…); empty starts the embedded one."
    )
    workers: Annotated[int, Meta(ge=1, le=256)] = _setting(1, "Processes that serve requests.")
    jobs: bool = _setting(True, "Whether `serve` also starts a process that runs background jobs.")
    public_url: str = _setting(
        "", "Base URL of links in responses; empty uses the request's Host header."
    )
    max_body_bytes: Annotated[int, Meta(ge=1024)] = _setting(
        1_048_576, "Largest request body, in bytes."
    )
    max_connections: Annotated[int, Meta(ge=1)] = _setting(
        1000,
        "Client connections of each process. Beyond that, the connection that has been idle "
        "longest is closed, or a new one gets 503.",
    )
    head_seconds: Annotated[float, Meta(gt=0)] = _setting(
        10.0, "Seconds in which a request's line and headers must arrive."
    )
    body_seconds: Annotated[float, Meta(gt=0)] = _setting(
        30.0, "Seconds in which a request's body must arrive, plus one for every 16 KB of it."
    )
    response_seconds: Annotated[float, Meta(gt=0)] = _setting(
        60.0, "Seconds for which a client may leave a response unread, plus one for every 16 KB."
    )
    keep_alive_seconds: Annotated[int, Meta(ge=1)] = _setting(
        5, "Seconds for which a connection stays open between two requests."
    )
    trusted_proxies: str = _setting(
        "127.0.0.0/8,::1/128",
        "Addresses or networks of reverse proxies, separated by commas. Their X-Forwarded-For "
        "names the caller, by which log-ins are limited.",
    )
    stop_seconds: Annotated[float, Meta(ge=2)] = _setting(
        30.0,
        "Seconds in which `serve` stops after a signal. Running requests and jobs get half of "
        "them, then they are cancelled.",
    )
    more_info_url: str = _setting(
        "https://support.sitecore.com", "Value of moreInfoUrl in error responses."
    )
    pool_size: Annotated[int, Meta(ge=1, le=1000)] = _setting(
        8, "Database connections of each process."
    )
    log_level: Literal["debug", "info", "warning", "error"] = _setting(
        "info", "Least severe level that is logged: debug, info, warning or error."
    )
    log_format: Literal["json", "text"] = _setting("json", "Format of log lines: json or text.")
    metrics_token: str = _setting(
        "",
        "Bearer token for /metrics from other machines; empty allows only this machine.",
        secret=True,
    )
    metrics_open: bool = _setting(False, "Whether anyone may read /metrics.")
    secrets_key: str = _setting(
        "",
        "Keys that encrypt the secrets in the database, newest first, separated by commas; empty "
        "stores one in the file secrets.key of the data folder. Use the same on every machine.",
        secret=True,
    )
    allowed_private_hosts: str = _setting(
        "",
        "Private host names, addresses or networks (10.0.0.0/8) that webhooks and deliveries may "
        "connect to, separated by commas; empty allows none.",
    )
    export_destinations: str = _setting(
        "",
        "Folders and URLs (s3://bucket/exports) that audience exports may be delivered to, with "
        "everything below them, separated by commas. The folder `exports` of the data folder is "
        "always allowed.",
    )
    import_sources: str = _setting(
        "",
        "Folders and URLs (s3://bucket/imports) that imports started by users may read, with "
        "everything below them, separated by commas. The folder `imports` of the data folder is "
        "always allowed. Commands may read anything.",
    )
    smtp_url: str = _setting(
        "",
        "SMTP server for e-mail to users: smtp://user:password@host:587 (with STARTTLS) or "
        "smtps://…:465. Empty sends none.",
        secret=True,
    )
    smtp_from: str = _setting(
        "", "Sender of e-mail to users, such as Innkeeper <innkeeper@example.com>."
    )
    cors_origins: str = _setting(
        "*", "Origins that browsers may call the API from, separated by commas; * allows all."
    )
    contact_is_customer: bool = _setting(True, "Whether a contact of an order becomes a customer.")
    travel_tenant: bool = _setting(
        False, "Whether a consumer of an order without an identity becomes a traveller."
    )
    force_close: bool = _setting(
        False,
        "Whether a FORCE_CLOSE event ends its session at every point of sale; otherwise only at "
        "those for tests.",
    )
    visitor_retention_days: Annotated[int, Meta(ge=0)] = _setting(
        183, "Days of inactivity after which a visitor without orders is deleted; 0 never deletes."
    )
    idempotency_hours: Annotated[int, Meta(ge=1, le=8760)] = _setting(
        24, "Hours for which an Idempotency-Key is stored."
    )
    files: str = _setting(
        "",
        "Where uploads and exports are stored: a folder, or a URL such as s3://bucket/prefix "
        "(extra `s3`); empty stores them in the data folder.",
    )
    max_upload_bytes: Annotated[int, Meta(ge=1024)] = _setting(
        52_428_800, "Largest file of a batch or import over HTTP, in bytes."
    )
    batch_days: Annotated[int, Meta(ge=1, le=3650)] = _setting(
        30,
        "Days for which batches, their failed records, finished exports and finished actions on "
        "many guests are stored.",
    )
    undo_days: Annotated[int, Meta(ge=0, le=3650)] = _setting(
        14, "Days for which imports can be undone; 0 records no changes."
    )
    batch_tracking: bool = _setting(
        False, "Whether batches accept records of the old schema `tracking`: stream events."
    )
    rate_limit: Annotated[float, Meta(ge=0)] = _setting(
        0.0, "Requests per second that each process allows a client key; 0 sets no limit."
    )
    statement_timeout_ms: Annotated[int, Meta(ge=0)] = _setting(
        30_000, "Milliseconds after which a database statement is cancelled; 0 never cancels."
    )

    lake: str = _setting(
        "",
        "Folder, or fsspec URL such as s3://bucket/path, of the lake's files; "
        "empty stores them in the data folder.",
    )
    lake_engine: Literal["duckdb", "spark"] = _setting(
        DUCKDB,
        "Engine that runs queries over the lake: duckdb, inside the server, or spark (extra "
        "`spark`, Java 17).",
    )
    lake_spark_master: str = _setting(
        "local[*]", "Address of the Spark cluster, such as spark://host:7077 or yarn."
    )
    lake_memory_mb: Annotated[int, Meta(ge=64)] = _setting(
        1024, "Memory of one query over the lake, in MB; beyond that it spills to disk."
    )
    lake_maintenance_mb: Annotated[int, Meta(ge=64)] = _setting(
        96,
        "Memory of flushes and compactions of the lake, in MB, in addition to the engine's own; "
        "beyond that they spill to disk. From 256 on they use every core.",
    )
    lake_query_seconds: Annotated[int, Meta(ge=1)] = _setting(
        120, "Seconds after which a query over the lake is cancelled."
    )
    sql_memory_mb: Annotated[int, Meta(ge=64)] = _setting(
        128,
        "Memory of one query that users wrote in SQL, in MB, in addition to the engine's own; "
        "beyond that it spills to disk.",
    )
    sql_segment_seconds: Annotated[int, Meta(ge=1)] = _setting(
        30, "Seconds after which a segment written in SQL is cancelled."
    )
    live_segment_seconds: Annotated[int, Meta(ge=1, le=3600)] = _setting(
        5, "Seconds between flushes of the lake, each of which updates Live segments."
    )

    @classmethod
    def declarations(cls) -> list[Declaration]:
        """Return every setting, in the order of declaration."""
        hints = get_type_hints(cls, include_extras=True)
        defaults = cls()
        return [
            Declaration(item.name, hints[item.name], getattr(defaults, item.name), _help(item))
            for item in fields(cls)
        ]

    @classmethod
    def load(
        cls,
        config: Path | str | None = None,
        environment: Mapping[str, str] | None = None,
        **overrides: Any,
    ) -> "Settings":
        """Read settings: defaults, then the file, the environment, and `overrides` not None.

        Later sources win. Raises OperatorError that names the setting, its source and the fault.
        """
        environment = os.environ if environment is None else environment
        hints = get_type_hints(cls, include_extras=True)
        values: dict[str, Any] = {}
        for name, value, source in _sources(config, environment, overrides):
            if name not in hints:
                raise OperatorError(f"{source} sets {name}, which is not a setting.")
            values[name] = _convert(name, value, hints[name], source)
        return cls(**values)

    @classmethod
    def from_environment(cls) -> "Settings":
        """Read the settings that the parent process resolved; without a parent, `load` them."""
        resolved = os.environ.get(RESOLVED)
        if resolved is None:
            return cls.load()
        return cls.load(environment={}, config="", **msgspec.json.decode(resolved))

    def to_environment(self) -> None:
        """Store these settings for `from_environment` of this process and its children."""
        os.environ |= self.environment()

    def environment(self) -> dict[str, str]:
        """Return the variables from which `from_environment` reads these settings."""
        return {RESOLVED: msgspec.json.encode(self._plain()).decode()}

    def redacted(self) -> dict[str, Any]:
        """Return name -> value, with secrets and the database password masked."""
        plain = self._plain()
        secret = {
            item.name: MASK
            for item in fields(self)
            if item.metadata.get("secret") and plain[item.name]
        }
        return plain | {"database": masked(self.database)} | secret

    def _plain(self) -> dict[str, Any]:
        return asdict(self) | {"data": str(self.data)}


def masked(dsn: str) -> str:
    """Return a database address with its password masked: a URL, or `key=value` pairs."""
    if "://" in dsn:
        parts = urlsplit(dsn)
        if parts.password is not None:
            login = f"{parts.username or ''}:{MASK}@"
            parts = parts._replace(netloc=login + parts.netloc.rpartition("@")[2])
        query = "&".join(
            f"password={MASK}" if item.startswith("password=") else item
            for item in parts.query.split("&")
        )
        return urlunsplit(parts._replace(query=query))
    if "password" not in dsn:
        return dsn
    # Values may be quoted and contain spaces, so everything after the word is left out.
    return dsn[: dsn.index("password")] + f"password={MASK}"


def _help(item: Any) -> str:
    return str(item.metadata["help"])


def _sources(
    config: Path | str | None, environment: Mapping[str, str], overrides: Mapping[str, Any]
) -> Iterator[tuple[str, Any, str]]:
    """Yield (name, value, source), the source of lowest priority first."""
    if config is None:
        config = environment.get(PREFIX + "CONFIG") or _default_file()
    if config:
        for name, value in _read(Path(config)).items():
            yield name, value, f"The file {config}"
    for item in fields(Settings):
        variable = PREFIX + item.name.upper()
        if variable in environment:
            yield item.name, environment[variable], f"The environment variable {variable}"
    for name, value in overrides.items():
        if value is not None:
            yield name, value, f"The option --{name.replace('_', '-')}"


def _default_file() -> Path | None:
    path = user_config_path("innkeeper", appauthor=False) / "innkeeper.toml"
    try:
        return path if path.exists() else None
    except OSError:
        return None


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise OperatorError(
            f"The file {path} cannot be read ({error.strerror or error})."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise OperatorError(f"The file {path} is not valid TOML: {error}.") from error


def _convert(name: str, value: Any, kind: Any, source: str) -> Any:
    if kind is Path:
        if not isinstance(value, str | Path) or not str(value):
            raise OperatorError(f"{source} sets {name} to {value!r}, which is not a path.")
        return Path(value).expanduser().absolute()
    try:
        converted = msgspec.convert(value, kind, strict=not isinstance(value, str))
    except msgspec.ValidationError as error:
        printable = masked(value) if name == "database" and isinstance(value, str) else value
        raise OperatorError(f"{source} sets {name} to {printable!r}: {error}.") from error
    return converted
