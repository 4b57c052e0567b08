"""Settings, from `SOSIE_*` variables and `$SOSIE_HOME/sosie.toml` (variables win).

An unknown key or a bad value is a `ConfigError` that names the key and where it stands. Values are
checked here, once; the rest of Sosie may rely on them. Units stand in the names.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from monitor.base.errors import ConfigError

ENV_PREFIX = "SOSIE_"
_ADDRESSES = ("kafka_brokers", "storage_url", "storage_endpoint")  # people write passwords into them
DEFAULT_HOME = Path("~/.sosie")
SEPARATORS = {"trust_anchors": os.pathsep, "serve_names": ",", "serve_proxies": ",", "metrics_clients": ","}
"""Of settings that hold several values: what stands between them in a variable. `sosie.toml` takes lists."""
SECRETS = frozenset(
    {"database_url", "kafka_password", "metrics_token", "password", "storage_access_key", "storage_secret_key", "storage_key"}
)


def _database_url(text: str) -> str:
    try:
        backend = make_url(text).get_backend_name()
    except ArgumentError as error:
        raise ValueError("not a database URL (sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME)") from error
    if backend not in ("sqlite", "postgresql"):
        raise ValueError(f"{backend} is not supported; use sqlite or postgresql+psycopg")
    return text


def _existing_file(path: Path) -> Path:
    if not path.is_file():
        raise ValueError("no such file")
    return path


def _existing(path: Path) -> Path:
    if not path.exists():
        raise ValueError("no such file or directory")
    return path


def _bucket_url(text: str) -> str:
    parts = urlsplit(text)
    if "@" in parts.netloc:
        raise ValueError("no key belongs here: SOSIE_STORAGE_ACCESS_KEY and SOSIE_STORAGE_SECRET_KEY take them")
    if parts.scheme != "s3" or not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", parts.netloc) or parts.query or parts.fragment:
        raise ValueError("not s3://BUCKET or s3://BUCKET/PREFIX")
    if any(part in ("", ".", "..") for part in parts.path.strip("/").split("/") if parts.path.strip("/")):
        raise ValueError("no part of a prefix may be empty, or dots alone")
    return text.rstrip("/")


def _http_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise ValueError("not http(s)://HOST or http(s)://HOST:PORT, without user or password")
    return text.rstrip("/")


def _brokers(text: str) -> str:
    """The brokers as `HOST:PORT,…` without spaces."""
    if "@" in text:
        raise ValueError("no user or password belongs here: SOSIE_KAFKA_USERNAME and SOSIE_KAFKA_PASSWORD take them")
    for broker in (parts := [part.strip() for part in text.split(",")]):
        host, _, port = broker.rpartition(":")
        if not host or "/" in host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise ValueError(f"{broker!r} is not HOST:PORT")
    return ",".join(parts)


def _host_name(text: str) -> str:
    """A name as a Host header gives it, without a port; `*.` before it means every name below it."""
    if re.fullmatch(r"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?", name := text.strip().lower()):
        return name.rstrip(".")
    try:
        return str(ipaddress.ip_address(name.strip("[]")))
    except ValueError:
        raise ValueError("no host name: give it without scheme and port, such as queue.example.org or *.example.org") from None


def _network(value: object) -> Network:
    try:
        return ipaddress.ip_network(str(value).strip())
    except ValueError as error:
        raise ValueError(f"{error} (10.0.0.7, 10.0.0.0/8 and fd00::/8 are usable)") from None


def _root_path(text: str) -> str:
    """The root path, such as `/sosie`; empty for the root itself."""
    path = text.strip().rstrip("/")
    if path and not re.fullmatch(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)+", path):
        raise ValueError("not a path such as /sosie")
    return path


Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Networks = tuple[Annotated[Network, BeforeValidator(_network)], ...]
ExistingFile = Annotated[Path, AfterValidator(_existing_file)]
ExistingPath = Annotated[Path, AfterValidator(_existing)]


class Settings(BaseSettings):
    """Everything an operator can set. Frozen; load it with `load`, once, and pass it on."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, extra="forbid", frozen=True)

    home: Path = Field(DEFAULT_HOME, description="all state lives under it")
    database_url: Annotated[str, AfterValidator(_database_url)] | None = Field(
        None, description="default: SQLite under the home", repr=False
    )
    migrate: Literal["auto", "never"] = Field(
        "auto", description="auto: commands bring an older schema up to date; never: they refuse it, and `sosie migrate` is run apart"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "warning", description="what goes to stderr: debug, info, warning or error"
    )

    encoder: str = Field("bundled", description="`bundled`, NAME/PRETRAINED of open_clip, or a weights file with its config beside it")
    precision: Literal["fp32", "bf16"] = Field("fp32", description="of the encoder; bf16 halves the time on processors that multiply it")
    face_detector: Literal["mtcnn"] | ExistingFile = Field("mtcnn", description="`mtcnn`, or FILE.onnx (YuNet)")
    face_encoder: ExistingFile | None = Field(None, description="FILE.onnx taking aligned 112x112 faces")
    cohort: ExistingPath | None = Field(None, description="folder of pictures of people who are not protected, for score normalisation")
    threads: int = Field(2, ge=1, le=256, description="CPU threads of the encoder")

    policy: ExistingFile | None = Field(None, description="policy.yaml; default: the shipped one")
    trust_anchors: tuple[ExistingFile, ...] = Field((), description="PEM files of C2PA trust anchors, named in verdicts by file name")
    trust_config: ExistingFile | None = Field(None, description="file of allowed EKU OIDs; default: those of the C2PA specification")

    evidence_key: ExistingFile | None = Field(None, description="PEM file of the P-256 key that signs evidence packs")
    evidence_chain: ExistingFile | None = Field(None, description="PEM file of its certificates, the signer's own first")

    fetch_max_bytes: int = Field(2 * 1024**3, ge=1, description="one video at most")
    fetch_timeout_s: float = Field(600.0, gt=0, description="one fetch at most, redirects included")
    fetch_min_bytes_per_s: float = Field(4096.0, ge=0, description="slower than this over 10 s is refused")
    fetch_max_redirects: int = Field(5, ge=0, le=20)
    fetch_allow_private: bool = Field(False, description="allow loopback, private and link-local addresses (tests, intranets)")

    decode_timeout_s: float = Field(60.0, gt=0, description="wall clock of one decoding step, before its worker is killed")
    decode_memory_bytes: int = Field(2 * 1024**3, ge=256 * 1024**2, description="address space of a decoding worker")
    decode_workers: int = Field(1, ge=1, le=64, description="decoding processes")
    sample_gap_s: float = Field(1.0, gt=0, le=60, description="no longer gap between two sampled frames")
    max_hours: float = Field(4.0, gt=0, description="of a longer video, the first so many hours are scanned, and the result says so")

    fingerprint_days: int = Field(2, ge=0, le=90, description="days a video's fingerprint is kept, encrypted; 0 keeps none")

    storage_url: Annotated[str, AfterValidator(_bucket_url)] | None = Field(
        None, description="s3://BUCKET/PREFIX, where pictures, stills, snapshots and fingerprints lie; default: under the home"
    )
    storage_endpoint: Annotated[str, AfterValidator(_http_url)] | None = Field(
        None, description="address of an S3-compatible store (https://…); default: AWS_ENDPOINT_URL, else Amazon's"
    )
    storage_region: str | None = Field(None, description="region of the bucket; default: AWS_REGION, else us-east-1")
    storage_access_key: str | None = Field(None, description="default: the usual AWS variables and roles", repr=False)
    storage_secret_key: SecretStr | None = Field(None, description="belongs to the access key; never shown", repr=False)
    storage_key: SecretStr | None = Field(
        None, description="32 bytes in base64 that wrap the keys of encrypted blobs; never shown. Better: a file", repr=False
    )
    storage_key_file: ExistingFile | None = Field(
        None, description="file with that key, the same on all machines; needed with a bucket; default: HOME/storage.key, made once"
    )

    kafka_brokers: Annotated[str, AfterValidator(_brokers)] | None = Field(
        None, description="HOST:PORT,…; unset: no broker, and `sosie scan`, `demo` and `serve` work without one"
    )
    kafka_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$", max_length=100)] = Field(
        "sosie", description="of topics and consumer groups: PREFIX.videos, PREFIX.cases, PREFIX.dead-letters"
    )
    kafka_security: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = Field(
        "plaintext", description="plaintext, ssl, sasl_plaintext or sasl_ssl"
    )
    kafka_ca: ExistingFile | None = Field(None, description="PEM file of the authorities that signed the brokers' certificates")
    kafka_certificate: ExistingFile | None = Field(None, description="PEM file of our own certificate, where brokers ask for one")
    kafka_key: ExistingFile | None = Field(None, description="PEM file of its private key")
    kafka_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field("SCRAM-SHA-512", description="SASL mechanism")
    kafka_username: str | None = Field(None, description="SASL user")
    kafka_session_s: float = Field(
        15.0, ge=1, le=300, description="a worker silent for so long is taken for dead, and its work goes to others"
    )
    kafka_password: SecretStr | None = Field(None, description="SASL password; never shown", repr=False)

    password: SecretStr | None = Field(None, description="an account's password, for commands that would ask for it", repr=False)

    worker_slots: int = Field(2, ge=1, le=64, description="videos one worker has in work at once")
    worker_window: int = Field(256, ge=1, le=10_000, description="events one worker holds unacknowledged at most, waiting ones included")
    worker_attempts: int = Field(4, ge=1, le=20, description="tries of one event whose own source, or our own code, fails")
    worker_stop_s: float = Field(30.0, ge=0, le=3600, description="after SIGTERM, work in flight may take so long before it is handed back")
    worker_stalled_s: float = Field(1800.0, ge=1, description="no progress for so long in spite of a backlog: /health/live says so")
    worker_host: str = Field("127.0.0.1", description="address of a worker's /health and /metrics")
    worker_port: int = Field(8001, ge=0, le=65535, description="port of a worker's /health and /metrics; 0 takes a free one")
    worker_files: ExistingPath | None = Field(
        None, description="folder whose files events may name (file:///…); default: events may name http(s) addresses only"
    )
    dead_letter_run: int = Field(
        50,
        ge=1,
        description="more wrong messages than this in a row pause their partition; videos that are gone do not count",
    )
    dead_letter_share: float = Field(
        0.5, gt=0, le=1, description="more than this share of a partition's last 200 events (100 at least) as wrong messages pauses it"
    )

    lease_s: float = Field(900.0, ge=5, description="a reviewer's claim on a case")
    serve_host: str = Field("127.0.0.1", description="address the console listens on")
    serve_port: int = Field(8000, ge=0, le=65535, description="port of the console; 0 takes a free one")
    serve_names: tuple[Annotated[str, AfterValidator(_host_name)], ...] = Field(
        (), description="host names, separated by commas, that the console answers to: queue.example.org,*.example.net; loopback always"
    )
    serve_proxies: Networks = Field(
        (), description="addresses or networks, separated by commas, of the proxies whose X-Forwarded-* headers are believed"
    )
    serve_root_path: Annotated[str, AfterValidator(_root_path)] = Field(
        "", description="path under which the public address serves the console, such as /sosie"
    )
    serve_cookies: Literal["auto", "secure"] = Field(
        "auto", description="auto: cookies are Secure where the public scheme is https, as a trusted proxy tells it; secure: always"
    )
    serve_metrics_host: str = Field("127.0.0.1", description="address of the console's own port for /metrics and /health")
    serve_metrics_port: int | None = Field(
        None, ge=0, le=65535, description="the console's own port for /metrics and /health; 0 takes a free one; unset: none"
    )
    metrics_clients: Networks = Field(
        (), description="addresses or networks, separated by commas, that may read /metrics, of workers too; this machine may always"
    )
    metrics_token: SecretStr | None = Field(
        None, min_length=16, description="bearer token by which others may read /metrics; 16 characters at least; never shown", repr=False
    )

    @model_validator(mode="after")
    def _credentials_complete(self) -> Self:
        if self.kafka_security.startswith("sasl") and (self.kafka_username is None or self.kafka_password is None):
            raise ValueError("kafka_username and kafka_password are needed with sasl")
        if (self.kafka_key is None) != (self.kafka_certificate is None):
            raise ValueError("kafka_certificate and kafka_key belong together")
        return self

    @property
    def effective_database_url(self) -> str:
        return self.database_url or f"sqlite:///{self.home / 'sosie.sqlite3'}"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)  # `load` reads the variables itself: it says where a bad value stands, and can leave them out


def load(environ: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """Read the variables, then `sosie.toml` in the home, and check all of it.

    `overrides` (command-line options) win over variables, which win over the file.
    Raises `ConfigError` naming the key and its place.
    """
    environ = os.environ if environ is None else environ
    _refuse_unknown(
        {name: name for name in environ if name.startswith(ENV_PREFIX) and not name.startswith("SOSIE_TEST_")},
        key=lambda name: name.removeprefix(ENV_PREFIX).lower(),
        place="the environment",
    )
    home = Path(overrides.get("home") or environ.get("SOSIE_HOME") or DEFAULT_HOME).expanduser().absolute()
    file = home / "sosie.toml"
    from_file = _read_toml(file)
    _refuse_unknown({name: name for name in from_file}, key=str, place=str(file))

    values: dict[str, Any] = dict(from_file)
    origin = dict.fromkeys(from_file, str(file))
    for name in Settings.model_fields:
        if (text := environ.get(ENV_PREFIX + name.upper())) is not None:
            values[name] = tuple(filter(None, text.split(SEPARATORS[name]))) if name in SEPARATORS else text
            origin[name] = "the environment"
    values |= overrides | {"home": home}
    try:
        return Settings(**values)
    except ValidationError as error:
        first = error.errors()[-1]  # of alternatives the last says most: that of the file, not "should be 'mtcnn'"
        if not first["loc"]:  # of several settings together
            raise ConfigError("SOSIE_KAFKA_*", first["msg"].removeprefix("Value error, "), "Set both, or neither") from None
        name = str(first["loc"][0])
        secret = name in SECRETS or (name in _ADDRESSES and "@" in str(first["input"]))
        shown = "" if secret else f" {first['input']!r}"
        raise ConfigError(
            f"{ENV_PREFIX}{name.upper()}",
            f"the value{shown} from {origin.get(name, 'the command line')} is not usable: {first['msg'].removeprefix('Value error, ')}",
            f"Set it to: {Settings.model_fields[name].description or 'a value of the right kind'}",
        ) from None


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(file, f"cannot be read: {error}", "Mend the file, or move it away to use the defaults") from error


def _refuse_unknown(names: Mapping[str, str], *, key: Any, place: str) -> None:
    known = Settings.model_fields
    for name in names:
        if key(name) not in known:
            near = difflib.get_close_matches(key(name), known, n=1)
            written = name.upper() if name.startswith(ENV_PREFIX) else name
            hint = f"Did you mean {(ENV_PREFIX + near[0].upper()) if name.startswith(ENV_PREFIX) else near[0]}?" if near else "Remove it"
            raise ConfigError(written, f"is not a setting (found in {place})", f"{hint.rstrip('?')}; `sosie settings` lists all of them")
