"""Settings: where an instance keeps its things, and what its operator may set.

Promises: no default for any secret; a secret that others on the host can read, or that is missing, refuses the start
and names the mend. Only `services.py`, `app.py` and the command line import this module.
Does not: open the database, hold keys in memory longer than the caller does, write files (`exchange init` does).
"""

import os
import socket
import stat
import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from exchange.crypto import CryptoError, SignatureScheme, SigningKey
from exchange.kernel import MalformedError, UnsafeSettingError
from exchange.kernel.addresses import Network, networks_of, outgoing_problem
from exchange.kernel.files import is_mounted_secret, may_lie_there, shut_out

CURSOR_KEY_BYTES = 32
"""AES-256; `crypto.seal_token` takes nothing else."""

_TRACES_PATH = "/v1/traces"
"""Where a collector takes spans (OTLP/HTTP) unless the address says otherwise."""


@dataclass(frozen=True, slots=True)
class InstanceLayout:
    """The files of one instance folder; `exchange init` writes them, `exchange serve` reads them."""

    folder: Path

    @property
    def settings_file(self) -> Path:
        return self.folder / "exchange.toml"

    @property
    def unfinished_file(self) -> Path:
        """What stands while an instance is being made, and after it where that was killed."""
        return self.folder / "init.unfinished"

    @property
    def database_file(self) -> Path:
        return self.folder / "exchange.db"

    @property
    def roots_file(self) -> Path:
        return self.folder / "custody" / "roots.json"

    @property
    def cursor_key_file(self) -> Path:
        return self.folder / "secrets" / "cursor.key"

    @property
    def log_key_file(self) -> Path:
        return self.folder / "secrets" / "log.key"

    @property
    def log_verifier_file(self) -> Path:
        """The public half of the log's keys, for whoever verifies the log."""
        return self.folder / "log" / "verifier-keys"

    @property
    def last_signed_file(self) -> Path:
        return self.folder / "log" / "last-signed.json"

    @property
    def node_key_file(self) -> Path:
        return self.folder / "secrets" / "node.key"

    @property
    def witness_policy_file(self) -> Path:
        return self.folder / "log" / "witnesses"

    @property
    def witnessed_file(self) -> Path:
        return self.folder / "log" / "witnessed"

    @property
    def tls_folder(self) -> Path:
        return self.folder / "tls"

    @property
    def server_certificate_file(self) -> Path:
        return self.tls_folder / "server.pem"

    @property
    def server_key_file(self) -> Path:
        return self.tls_folder / "server.key"

    @property
    def authority_certificate_file(self) -> Path:
        return self.tls_folder / "ca.pem"

    @property
    def authority_key_file(self) -> Path:
        return self.tls_folder / "ca.key"

    @property
    def authorities_folder(self) -> Path:
        return self.tls_folder / "authorities"

    @property
    def crl_folder(self) -> Path:
        return self.tls_folder / "crl"

    @property
    def edge_certificates_file(self) -> Path:
        """The certificates of proxies whose word is taken for who a client is; `exchange ca edge` writes it."""
        return self.tls_folder / "edges.pem"

    @property
    def edge_server_certificate_file(self) -> Path:
        """A copy of what a proxy shows to its clients, by which its end is told; `exchange ca edge` writes it."""
        return self.tls_folder / "edge-server.pem"

    @property
    def edge_lists_file(self) -> Path:
        """A copy of the lists that a proxy asks, by which their end is told; `exchange ca edge` writes it."""
        return self.tls_folder / "edge-crl.pem"


class WebhookSettings(BaseModel):
    """Where alerts are sent: a table `[[alert_webhooks]]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")
    url: str
    """HTTPS, on a host that has public addresses only, unless it is `private`."""
    secret_file: Path
    """The secret shared with the receiver, as Standard Webhooks writes it: `whsec_` and base64."""
    authority_file: Path | None = None
    """The authorities of the receiver's certificate, PEM; the system's unless set."""
    private: bool = False
    """Lets this host lie in a private network or on this machine; no other host is allowed by it."""

    @model_validator(mode="after")
    def _refuse_unsafe(self) -> Self:
        if (problem := _webhook_problem(self.url, is_private=self.private)) is not None:
            raise ValueError(problem)
        return self


def _number_of(given: object) -> object:
    # The environment knows texts alone, and a choice among numbers is none among texts.
    return int(given) if isinstance(given, str) and given.strip().isdecimal() else given


# Bounds are what no exchange needs more of; past them times overflow, and a typing error holds for ever.
_Count = Annotated[int, Field(gt=0, le=10_000_000)]
_Bytes = Annotated[int, Field(gt=0, le=1 << 40)]


class Settings(BaseSettings):
    """What may be set, in `exchange.toml` or as `EXCHANGE_<NAME>`; the environment wins. Unknown keys are refused."""

    model_config = SettingsConfigDict(env_prefix="EXCHANGE_", extra="forbid", frozen=True)

    instance_folder: Path
    database_url: str
    """`sqlite+aiosqlite:///FILE` or `postgresql+asyncpg://USER@HOST/NAME`; never with the password in it."""
    database_password_file: Path | None = None
    policies_dir: Path
    roots_file: Path
    cursor_key_file: Path
    log_key_file: Path
    """Signs the log's checkpoints; the same file on every node that may sequence the log."""
    last_signed_file: Path
    """What this node signed last: on a disk of its own, it outlives the database and its restores."""
    sequencer_database_url: str | None = None
    """The address the sequencer uses, with a database role of its own; `database_url` unless set."""
    sequencer_database_password_file: Path | None = None
    node_key_file: Path
    """The node's own Ed25519 key, PKCS #8 in PEM. It certifies the key of every start of a process on this node."""
    witness_policy_file: Path
    """Who witnesses the log, and how many must agree (C2SP tlog-policy); `exchange audit witness` writes it."""
    witnessed_file: Path
    """What witnesses hold of the log, as far as this node knows: it outlives the database like `last_signed_file`."""
    witness_authority_file: Path | None = None
    """The authorities of witnesses' server certificates, PEM; the system's unless set."""
    witness_quorum_seconds: _Count | None = None
    """Not ready while checkpoints stand without the quorum longer than this; unset: told, and no reason to stop."""
    alert_webhooks: tuple[WebhookSettings, ...] = ()
    """Each is sent every alert: which rule spoke, how grave it is, when, and the ids of entries."""
    server_certificate_file: Path
    server_key_file: Path
    authorities_folder: Path
    crl_folder: Path
    edge_certificates_file: Path | None = None
    """The certificates, PEM, of proxies that end the clients' mutual TLS and forward theirs in `Client-Cert`. Nobody
    else's word is taken for who a client is; unset, nobody's."""
    node: str = Field(max_length=64)
    """Name of this node in the audit log; the host's name unless set."""
    max_body_bytes: Annotated[int, Field(gt=0, le=1 << 30)] = 16 * 1024 * 1024
    """Whole bodies are held in memory while they are checked; larger parts are sent by themselves, and streamed."""
    max_upload_bytes: _Bytes = 256 * 1024 * 1024
    """All parts together of a report whose parts are sent by themselves."""
    upload_hours: Annotated[int, Field(gt=0, le=24 * 366)] = 24
    """A report whose parts are sent by themselves is given up where it is not completed within this."""
    body_timeout_seconds: Annotated[int, Field(gt=0, le=3600)] = 30
    """16 MiB in 30 s is 4.5 Mbit/s; a slower sender holds a connection that others need."""
    personal_period_months: Annotated[Literal[1, 2, 3, 4, 6, 12], BeforeValidator(_number_of)] = 1
    """How many calendar months (UTC) of one client's personal data in the log are erased together."""
    audit_retention_days: Annotated[int, Field(gt=0, le=366 * 200)] | None = None
    """Entries older than this leave the database for the archive, by whole bundles; unset: they stay for ever."""
    audit_legal_hold: bool = False
    """While it is true, no entry leaves the database, whatever its age."""
    audit_archive_url: str
    """Where archived entries are: `file:///folder`, `s3://`, `az://` or `gs://`; never with a secret in it."""
    blob_store_url: str | None = None
    """Where the ciphertext of large parts is, as for the archive, and one for all nodes; unset: in the database."""
    blob_smallest_bytes: _Bytes = 64 * 1024
    """Parts whose ciphertext is smaller stay in the database: a second place to ask costs more than it saves."""
    requests_per_second: _Count = 2000
    """Per client, over all workers of all nodes (contract)."""
    member_requests_per_second: _Count | None = None
    """Of all clients of one member together, over all workers of all nodes; twice `requests_per_second` unless set."""
    streams_per_client: _Count = 16
    """How many streams one client may have open at each worker."""
    most_streams: _Count = 20_000
    """How many streams each worker keeps open; docs/scaling.md says what one costs."""
    webhook_private_networks: tuple[str, ...] = ()
    """Networks such as `10.1.0.0/16` that subscribers' webhooks may lead to though they are not public."""
    webhook_authority_file: Path | None = None
    """The authorities of subscribers' certificates, PEM; the system's unless set."""
    traces_endpoint: str | None = None
    """An OpenTelemetry collector that spans of requests are sent to, by OTLP over HTTP; unset: there are no traces."""
    traces_ratio: float = Field(default=1.0, gt=0, le=1)
    """Of how many requests a trace is kept."""
    traces_authority_file: Path | None = None
    """The authorities of the collector's certificate, PEM; the system's unless set."""

    @field_validator("node")
    @classmethod
    def _refuse_unreadable_name(cls, given: str) -> str:
        # It stands in every entry: two nodes that look alike there could not be told apart.
        if not given or given != given.strip() or not given.isprintable():
            raise ValueError("is no name: write letters that show, and no blank at either end")
        return given

    @field_validator("webhook_private_networks")
    @classmethod
    def _refuse_no_networks(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        try:
            networks_of(given)
        except MalformedError as exc:
            raise ValueError(exc.message) from exc
        return given

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_no_path(cls, given: object, field: ValidationInfo) -> object:
        # Empty, as Compose leaves what is not set, it would be the instance's folder: no list lies there, for one.
        if given == "" and "Path" in str(cls.model_fields[str(field.field_name)].annotation):
            raise ValueError("is empty: name a place, or unset it")
        return given

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_truth_for_a_number(cls, given: object, field: ValidationInfo) -> object:
        # `audit_retention_days = true` would be one day.
        if isinstance(given, bool) and cls.model_fields[str(field.field_name)].annotation is not bool:
            raise ValueError("is `true` or `false`, which this setting cannot be")
        return given

    @property
    def private_networks(self) -> tuple[Network, ...]:
        """Return the networks that webhooks may lead to though they are not public."""
        return networks_of(self.webhook_private_networks)

    @field_validator("traces_endpoint")
    @classmethod
    def _refuse_unsafe_collector(cls, given: str | None) -> str | None:
        if not given:
            return None  # empty, as Compose leaves what is not set
        if (problem := _collector_problem(given)) is not None:
            raise ValueError(problem)
        return given if urlsplit(given).path.strip("/") else given.rstrip("/") + _TRACES_PATH

    @model_validator(mode="after")
    def _refuse_repeated_webhooks(self) -> Self:
        names = [hook.name for hook in self.alert_webhooks]
        if len(set(names)) != len(names):
            raise ValueError("two of `alert_webhooks` have one name: give each its own")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  the signature is pydantic's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  no .env files: a secret lying about is none
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (env_settings, init_settings)

    def database_url_with_password(self) -> str:
        """Return the address the store opens, with the password read from its file if there is one."""
        try:
            url = make_url(self.database_url)
        except ArgumentError as exc:
            raise UnsafeSettingError("`database_url` is not an address: see docs/operations.md for both forms") from exc
        if url.password is not None or "password" in url.query:
            raise UnsafeSettingError(
                "`database_url` holds a password: put it into a file and name that with `database_password_file`"
            )
        if self.database_password_file is None:
            return self.database_url
        if url.get_backend_name() == "sqlite":
            raise UnsafeSettingError(
                "a file of SQLite has no password: unset `database_password_file`, or name the server in `database_url`"
            )
        return url.set(password=self.database_password()).render_as_string(hide_password=False)

    def database_password(self) -> str | None:
        """Return what lies in the password's file now; None where the settings name none."""
        if self.database_password_file is None:
            return None
        try:
            password = read_secret(self.database_password_file).decode().strip()
        except UnicodeDecodeError as exc:
            raise UnsafeSettingError(f"secret `{self.database_password_file}` is no text") from exc
        if not password:
            raise UnsafeSettingError(f"secret `{self.database_password_file}` is empty")
        return password

    def sequencer_url_with_password(self) -> str:
        """Return the address the sequencer opens, with the password read from its file if there is one."""
        return self.of_sequencer().database_url_with_password()

    def of_sequencer(self) -> Self:
        """Return these settings with the sequencer's login in place of the service's, where it has one of its own."""
        if self.sequencer_database_url is None:
            return self
        own = {
            "database_url": self.sequencer_database_url,
            "database_password_file": self.sequencer_database_password_file,
        }
        return self.model_copy(update=own)

    def cursor_key(self) -> bytes:
        """Return the key that seals paging cursors."""
        key = read_secret(self.cursor_key_file)
        if len(key) != CURSOR_KEY_BYTES or len(set(key)) < CURSOR_KEY_BYTES // 4:
            raise UnsafeSettingError(
                f"`{self.cursor_key_file}` is no random key of {CURSOR_KEY_BYTES} bytes: put it back from the "
                "escrow, or from another node, for all have the same; where nobody has it, write a new one with "
                f"`head -c {CURSOR_KEY_BYTES} /dev/urandom > {self.cursor_key_file}`"
            )
        return key

    def node_key(self) -> SigningKey:
        """Return the key with which this node signs for its entries."""
        if not may_lie_there(self.node_key_file):
            raise UnsafeSettingError(f"node key `{self.node_key_file}` is missing: run `exchange migrate`")
        try:
            key = SigningKey.from_pem(read_secret(self.node_key_file))
        except CryptoError as exc:
            raise UnsafeSettingError(f"node key `{self.node_key_file}` is damaged: restore it from the escrow") from exc
        if key.scheme is not SignatureScheme.ED25519:
            raise UnsafeSettingError(f"node key `{self.node_key_file}` is no Ed25519 key: restore it from the escrow")
        return key


def load_settings(folder: Path) -> Settings:
    """Return the settings of the instance in `folder`; relative paths in its file are relative to it.

    Raises UnsafeSettingError where the folder is no instance, or a setting is unknown or wrong.
    """
    layout = InstanceLayout(folder.absolute())
    try:
        is_instance = layout.settings_file.is_file()
    except PermissionError as exc:
        raise UnsafeSettingError(f"`{folder}` cannot be looked into: {shut_out(layout.settings_file)}") from exc
    if not is_instance:
        if layout.roots_file.exists() and not layout.unfinished_file.exists():
            # Whoever is told to make an instance here throws its keys away.
            told = f"`{layout.settings_file}` is missing: put it back; without a line in it everything has its default"
            raise UnsafeSettingError(told)
        raise UnsafeSettingError(
            f"`{folder}` is no instance: `exchange init --dir {folder}` makes one; was it lost: `exchange keys restore`"
        )
    _refuse_misspelt_variables()
    try:
        written = tomllib.loads(layout.settings_file.read_text(encoding="utf-8"))
        _refuse_other_letters(layout.settings_file, written)
        settings = Settings(**{**_defaults(layout), **written})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise UnsafeSettingError(f"`{layout.settings_file}` is no TOML file: {exc}") from exc
    except PermissionError as exc:
        raise UnsafeSettingError(f"`{layout.settings_file}` cannot be read: {shut_out(layout.settings_file)}") from exc
    except ValidationError as exc:
        raise UnsafeSettingError(_told(layout.settings_file, exc)) from exc
    except SettingsError as exc:
        # Of the environment: a list of it, for one.
        raise UnsafeSettingError(f'{exc}: write lists as JSON, such as `["10.1.0.0/16"]`') from exc
    return settings.model_copy(update=_absolute(settings, layout.folder))


def read_secret(path: Path) -> bytes:
    """Return the bytes of a secret file.

    Raises UnsafeSettingError where it is missing, not a plain file, or readable by others than its owner;
    below `/run/secrets` the mount is what protects it, so its mode is not asked.
    """
    is_mounted = is_mounted_secret(path)
    mend = "put it back; an instance's own are in its escrow (`exchange keys restore` into another folder)"
    try:
        found, content = _opened(path, follow=is_mounted)
    except FileNotFoundError as exc:
        raise UnsafeSettingError(f"secret `{path}` is missing: {mend}") from exc
    except PermissionError as exc:
        raise UnsafeSettingError(f"secret `{path}` cannot be read: {shut_out(path)}") from exc
    except OSError as exc:
        raise UnsafeSettingError(f"secret `{path}` cannot be read: {exc.strerror}") from exc
    if content is None:
        raise UnsafeSettingError(f"secret `{path}` is not a plain file: put the secret itself there")
    if not is_mounted:
        _refuse_shared(path, found)
    if not content:
        raise UnsafeSettingError(f"secret `{path}` is empty: {mend}")
    return content


def read_policies(folder: Path) -> dict[str, str]:
    """Return the law as files: path relative to `folder` -> text, for `release.load_law`."""
    suffixes = {".yaml", ".cedar", ".cedarschema"}
    try:
        paths = sorted(path for path in folder.rglob("*") if path.suffix in suffixes and path.is_file())
        law = {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in paths}
    except (OSError, UnicodeDecodeError) as exc:
        raise UnsafeSettingError(
            f"`{folder}` cannot be read as the law: {exc}: set `policies_dir` to the folder with it, and nothing else"
        ) from exc
    if not law:
        raise UnsafeSettingError(f"`{folder}` holds no policies: set `policies_dir` to the folder with the law")
    return law


def _is_there(path: Path) -> bool:
    # In a folder that may not be entered as well: whoever reads the file then says so.
    try:
        return path.exists()
    except PermissionError:
        return True


def _refuse_misspelt_variables() -> None:
    """Raise for a variable that is nearly a setting: nobody would be told that it holds nothing.

    Others are let be: Compose and Kubernetes put there what begins with the name of a service.
    """
    for variable in sorted(os.environ):
        name = variable.upper().removeprefix("EXCHANGE_").lower()
        if not variable.upper().startswith("EXCHANGE_") or name in Settings.model_fields:
            continue
        if close := get_close_matches(name, Settings.model_fields, n=1, cutoff=0.85):
            meant = f"EXCHANGE_{close[0].upper()}"
            raise UnsafeSettingError(f"`{variable}` is no setting: did you mean `{meant}`? Rename it, or unset it")


def _refuse_other_letters(path: Path, written: Collection[str]) -> None:
    """Raise for a setting in capitals: as a variable's its name would be taken, and give way to its own default."""
    for name in sorted({*written} - {*Settings.model_fields}):
        if name.lower() in Settings.model_fields:
            told = f"`{name}`: there is no such setting: did you mean `{name.lower()}`?"
            raise UnsafeSettingError(f"settings of `{path}` are wrong: {told}")


def _webhook_problem(url: str, *, is_private: bool) -> str | None:
    """Return why alerts may not be sent to `url`. What its name leads to is looked at each time it is connected to."""
    problem = outgoing_problem(url, is_inside_allowed=is_private)
    if problem is None or "public internet" not in problem:
        return problem
    return f"{problem}: where alerts may go there, say `private = true` beside the url"


def _collector_problem(url: str) -> str | None:
    """Return why spans may not be sent to `url`: who asks what when is not for networks of others to read."""
    scheme, _, rest = url.partition("://")
    problem = outgoing_problem(f"https://{rest}")
    is_inside = problem is not None and "public internet" in problem
    if scheme == "https" and (problem is None or is_inside):
        return None
    # A name without a dot is one of a network of one's own, as Compose gives them.
    if scheme == "http" and (is_inside or (problem is None and "." not in (urlsplit(url).hostname or "."))):
        return None
    return "write the collector as https://HOST[/PATH]; http:// is for this host and networks of one's own"


def _opened(path: Path, *, follow: bool) -> tuple[os.stat_result, bytes | None]:
    """Return what a file is and its bytes, None of what is no plain file; raises OSError.

    Opened once and asked by its descriptor: nobody can exchange the file between check and reading.
    """
    if not follow and path.is_symlink():
        return path.lstat(), None
    # Without O_NONBLOCK a pipe in the place of the file would be waited for.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW))
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            return found, None
        with os.fdopen(handle, "rb", closefd=False) as file:
            return found, file.read()
    finally:
        os.close(handle)


def _refuse_shared(path: Path, found: os.stat_result) -> None:
    if found.st_mode & 0o077:
        raise UnsafeSettingError(f"secret `{path}` can be read by others on this host: run `chmod 600 {path}`")
    if found.st_uid not in {os.geteuid(), 0}:
        raise UnsafeSettingError(f"secret `{path}` belongs to another user: run `chown {os.geteuid()} {path}`")


def _in_address(path: Path) -> str:
    """Return a path as it stands in an address, which ends at `?` and takes `%` and two digits for a letter."""
    return str(path).replace("%", "%25").replace("?", "%3F")


def _defaults(layout: InstanceLayout) -> dict[str, object]:
    return {
        "instance_folder": layout.folder,
        "database_url": f"sqlite+aiosqlite:///{_in_address(layout.database_file)}",
        "policies_dir": Path(__file__).resolve().parent.parent / "policies",
        "roots_file": layout.roots_file,
        "cursor_key_file": layout.cursor_key_file,
        "log_key_file": layout.log_key_file,
        "last_signed_file": layout.last_signed_file,
        "node_key_file": layout.node_key_file,
        "witness_policy_file": layout.witness_policy_file,
        "witnessed_file": layout.witnessed_file,
        "server_certificate_file": layout.server_certificate_file,
        "server_key_file": layout.server_key_file,
        "authorities_folder": layout.authorities_folder,
        "crl_folder": layout.crl_folder,
        "edge_certificates_file": layout.edge_certificates_file if _is_there(layout.edge_certificates_file) else None,
        "audit_archive_url": (layout.folder / "log" / "archive").as_uri(),
        "node": socket.gethostname()[:64] or "node",
    }


def _absolute(settings: Settings, folder: Path) -> dict[str, Path]:
    values = ((name, getattr(settings, name)) for name in type(settings).model_fields)
    return {name: folder / value for name, value in values if isinstance(value, Path)}


_WORDS = {
    "missing": "is missing",
    "int_parsing": "is no whole number",
    "int_type": "is no whole number",
    "int_from_float": "is no whole number",
    "float_parsing": "is no number",
    "bool_parsing": "is neither `true` nor `false`",
    "string_type": "is no text: write it in quotes",
    "greater_than": "is too small: write more than {gt}",
    "less_than_equal": "is too large: {le} is the most",
    "int_parsing_size": "is too large",
    "literal_error": "is not known here: use {expected}",
}
"""What is wrong with a setting, in place of pydantic's own sentence; kinds that are not here have that one."""


def _told(path: Path, error: ValidationError) -> str:
    faults = "; ".join(_fault_told(fault) for fault in error.errors(include_input=False))
    return f"settings of `{path}` are wrong: {faults}"


def _fault_told(fault: ErrorDetails) -> str:
    name = ".".join(map(str, fault["loc"]))
    variable = f"EXCHANGE_{str(fault['loc'][0]).upper()}" if fault["loc"] else ""
    place = f"`{name}` (from {variable})" if variable in os.environ else f"`{name}`"
    if fault["type"] == "extra_forbidden":
        close = get_close_matches(name, Settings.model_fields, n=1)
        return f"{place}: there is no such setting" + (f": did you mean `{close[0]}`?" if close else "")
    if fault["type"] in _WORDS:
        return f"{place}: {_WORDS[fault['type']].format_map(fault.get('ctx', {}))}"
    return f"{place}: {fault['msg'].removeprefix('Value error, ')}"
