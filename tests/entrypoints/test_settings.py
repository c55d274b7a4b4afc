"""Settings: what an instance folder says, and what refuses the start."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from exchange.crypto import SignatureScheme, SigningKey
from exchange.kernel import UnsafeSettingError
from exchange.setting_faults import faults_of
from exchange.settings import CURSOR_KEY_BYTES, InstanceLayout, Settings, load_settings, read_policies, read_secret
from exchange.store import BlobStore
from exchange.store.log.archive import BundleArchive


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "exchange.toml").write_text("")
    (tmp_path / "exchange.toml").chmod(0o600)
    key = InstanceLayout(tmp_path).cursor_key_file
    key.parent.mkdir()
    key.write_bytes(os.urandom(CURSOR_KEY_BYTES))
    key.chmod(0o600)
    return tmp_path


def test_empty_file_means_the_layout_of_the_folder(folder: Path) -> None:
    settings = load_settings(folder)

    layout = InstanceLayout(folder)
    assert settings.database_url_with_password() == f"sqlite+aiosqlite:///{folder}/exchange.db"
    assert (settings.roots_file, settings.authorities_folder) == (layout.roots_file, layout.authorities_folder)
    assert len(settings.cursor_key()) == CURSOR_KEY_BYTES
    assert "vocabulary.yaml" in read_policies(settings.policies_dir)


def test_relative_paths_are_relative_to_the_folder(folder: Path) -> None:
    (folder / "exchange.toml").write_text('policies_dir = "law"\n')

    assert load_settings(folder).policies_dir == folder / "law"


def test_environment_counts_before_the_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "exchange.toml").write_text("requests_per_second = 5\n")
    monkeypatch.setenv("EXCHANGE_REQUESTS_PER_SECOND", "7")

    assert load_settings(folder).requests_per_second == 7


PLACES = sorted(name for name, field in Settings.model_fields.items() if "Path" in str(field.annotation))


@pytest.mark.parametrize("name", PLACES)
def test_place_that_is_empty_is_not_the_folder_of_the_instance(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """No list was asked of any certificate where Compose left `EXCHANGE_CRL_FOLDER` empty."""
    assert {"crl_folder", "database_password_file", "instance_folder", "policies_dir"} <= set(PLACES)
    monkeypatch.setenv(f"EXCHANGE_{name.upper()}", "")

    with pytest.raises(UnsafeSettingError, match=rf"`{name}` \(from EXCHANGE_{name.upper()}\): is empty"):
        load_settings(folder)


@pytest.mark.parametrize(
    "text", ["unknown = 1", "max_body_bytes = 0", 'node = ""', "not toml", 'requests_per_second = "fast"'], ids=str
)
def test_wrong_setting_is_named_without_its_value(folder: Path, text: str) -> None:
    (folder / "exchange.toml").write_text(text)

    with pytest.raises(UnsafeSettingError) as refused:
        load_settings(folder)

    assert "exchange.toml" in refused.value.message
    assert "fast" not in refused.value.message


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("max_body_byte = 1", "`max_body_byte`: there is no such setting: did you mean `max_body_bytes`?"),
        ("frob = 1", "`frob`: there is no such setting"),
        ('Node = "oslo"', "`Node`: there is no such setting: did you mean `node`?"),
        ('max_body_bytes = "big"', "`max_body_bytes`: is no whole number"),
        ("max_body_bytes = 0", "`max_body_bytes`: is too small: write more than 0"),
        ("audit_retention_days = true", "`audit_retention_days`: is `true` or `false`, which this setting cannot be"),
        ('audit_legal_hold = "perhaps"', "`audit_legal_hold`: is neither `true` nor `false`"),
        ("personal_period_months = 5", "`personal_period_months`: is not known here: use 1, 2, 3, 4, 6 or 12"),
        ('node = ""', "`node`: is no name: write letters that show, and no blank at either end"),
        ("traces_ratio = 2", "`traces_ratio`: is too large: 1.0 is the most"),
        ('[[alert_webhooks]]\nname = "soc"\nsecret_file = "s"', "`alert_webhooks.0.url`: is missing"),
        (
            'webhook_private_networks = ["10.1.0.0/33"]',
            "`webhook_private_networks`: no network: '10.1.0.0/33' does not appear to be an IPv4 or IPv6 network",
        ),
    ],
)
def test_wrong_setting_is_told_with_what_to_write(folder: Path, text: str, told: str) -> None:
    (folder / "exchange.toml").write_text(text)

    with pytest.raises(UnsafeSettingError) as refused:
        load_settings(folder)

    assert refused.value.message == f"settings of `{folder}/exchange.toml` are wrong: {told}"


def test_wrong_setting_of_the_environment_is_told_by_its_variable(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXCHANGE_UPLOAD_HOURS", "soon")

    with pytest.raises(UnsafeSettingError, match=r"`upload_hours` \(from EXCHANGE_UPLOAD_HOURS\): is no whole number"):
        load_settings(folder)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NODE", " "),
        ("NODE", "a\nb"),
        ("NODE", "a\u200b"),
        ("UPLOAD_HOURS", "9" * 10),
        ("AUDIT_RETENTION_DAYS", "9" * 10),
        ("AUDIT_RETENTION_DAYS", "9" * 5000),
        ("REQUESTS_PER_SECOND", "9" * 30),
        ("MAX_BODY_BYTES", "9" * 10),
    ],
)
def test_value_that_no_exchange_can_keep_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"EXCHANGE_{name}", value)

    with pytest.raises(UnsafeSettingError, match=rf"\(from EXCHANGE_{name}\): is (no name|too large)"):
        load_settings(folder)


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("EXCHANGE_AUDIT_LEGALHOLD", "EXCHANGE_AUDIT_LEGAL_HOLD"),
        ("exchange_crl_folders", "EXCHANGE_CRL_FOLDER"),
        ("EXCHANGE_WITNESS_QUORUM_SECOND", "EXCHANGE_WITNESS_QUORUM_SECONDS"),
    ],
)
def test_variable_that_is_nearly_a_setting_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, variable: str, meant: str
) -> None:
    """A legal hold that was misspelt held nothing, and nobody was told."""
    monkeypatch.setenv(variable, "true")

    with pytest.raises(UnsafeSettingError, match=f"`{variable}` is no setting: did you mean `{meant}`"):
        load_settings(folder)


def test_variables_of_others_are_let_be(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("PORT", "PORT_8443_TCP_ADDR", "SERVICE_HOST", "DIR", "URL", "CERT", "KEY", "CA", "HOST_NAMES"):
        monkeypatch.setenv(f"EXCHANGE_{variable}", "x")

    assert load_settings(folder).node


def test_months_are_a_number_in_the_environment_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXCHANGE_PERSONAL_PERIOD_MONTHS", "3")

    assert load_settings(folder).personal_period_months == 3


def test_folder_that_cannot_be_read_as_the_law_is_told(tmp_path: Path) -> None:
    (tmp_path / "law.yaml").write_bytes(b"\xff\xfe")

    with pytest.raises(UnsafeSettingError, match="cannot be read as the law"):
        read_policies(tmp_path)


def test_file_of_sqlite_has_no_password(folder: Path) -> None:
    (folder / "password").write_text("secret")
    (folder / "password").chmod(0o600)
    (folder / "exchange.toml").write_text('database_password_file = "password"')

    with pytest.raises(UnsafeSettingError, match="a file of SQLite has no password"):
        load_settings(folder).database_url_with_password()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('crl_folder = "tls/clr"', "`crl_folder`: `{folder}/tls/clr` is no folder"),
        ('witness_policy_file = "."', "`witness_policy_file`: `{folder}` is a folder"),
        ('last_signed_file = "."', "`last_signed_file`: `{folder}` is a folder"),
        ("witness_quorum_seconds = 60", "names no witnesses"),
        ('witness_authority_file = "ca.pem"', "`witness_authority_file`: `{folder}/ca.pem` holds no authorities"),
        ('webhook_authority_file = "."', "`webhook_authority_file`: `{folder}` holds no authorities"),
        ('traces_authority_file = "exchange.toml"', "`traces_authority_file`: `{folder}/exchange.toml` holds no"),
        ('sequencer_database_password_file = "p"', "set both, or neither"),
        ('sequencer_database_url = ""', "`sequencer_database_url`: this is no address of a database"),
        ('sequencer_database_url = "postgresql+asyncpg://a@b/c"', "names another database than `database_url`"),
        (
            (
                '[[alert_webhooks]]\nname = "soc"\nsecret_file = "s"\nurl = "https://soc.example/"\n'
                'authority_file = "gone.pem"'
            ),
            "`authority_file of webhook soc`: `gone.pem` holds no authorities",
        ),
    ],
)
def test_what_is_asked_for_and_cannot_hold_is_told(folder: Path, text: str, told: str) -> None:
    """A folder of revocation lists that was misspelt was an empty one: nobody was held against any list."""
    (folder / "exchange.toml").write_text(text)

    (fault,) = faults_of(load_settings(folder))

    assert told.format(folder=folder) in str(fault)
    assert ": " not in fault.mend
    (folder / "exchange.toml").write_text("")
    assert faults_of(load_settings(folder)) == ()


@pytest.mark.parametrize("name", ["exchange.toml", "tls/edges.pem"])
def test_file_that_says_whom_to_believe_and_that_anybody_can_write_is_told(folder: Path, name: str) -> None:
    """Whoever wrote an edge of its own there acted as any client whose certificate it had seen."""
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.touch()
    path.chmod(0o646)

    (fault,) = faults_of(load_settings(folder))

    assert (fault.told, fault.mend) == (
        f"`{path}` can be written by others on this host, and says whom the service believes",
        f"look at what stands in it, and run `chmod o-w {path}`",
    )
    path.chmod(0o644)
    assert faults_of(load_settings(folder)) == ()


@pytest.mark.parametrize("name", [".", "tls"])
def test_folder_in_which_anybody_may_exchange_such_a_file_is_told(folder: Path, name: str) -> None:
    """Who cannot write the file moves it away, or the folder it lies in, and puts another one there."""
    edges = folder / "tls" / "edges.pem"
    edges.parent.mkdir(exist_ok=True)
    edges.touch(mode=0o600)
    outside = folder / name
    outside.chmod(0o757)

    (fault,) = faults_of(load_settings(folder))

    assert f"in the place of one in `{outside}`" in fault.told
    assert fault.mend.endswith(f"`chmod o-w {outside}`")
    outside.chmod(0o1777)
    assert faults_of(load_settings(folder)) == ()


def test_folder_of_what_a_link_leads_to_is_looked_at_too(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "edges.pem").touch(mode=0o600)
    (folder / "tls").mkdir(exist_ok=True)
    (folder / "tls" / "edges.pem").symlink_to(elsewhere / "edges.pem")
    elsewhere.chmod(0o777)

    (fault,) = faults_of(load_settings(folder))
    assert f"`{elsewhere}`" in fault.told


def test_open_folder_that_nobody_here_can_write_to_is_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a cluster mounts settings: open to all, and only read."""
    folder.chmod(0o777)
    assert len(faults_of(load_settings(folder))) == 1
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_flag=os.ST_RDONLY))

    assert faults_of(load_settings(folder)) == ()


@pytest.mark.parametrize("name", ["NOR.crl", "NOR.PEM", "NOR.der"])
def test_revocation_list_that_nobody_would_read_is_told(folder: Path, name: str) -> None:
    settings = load_settings(folder)
    settings.crl_folder.mkdir(parents=True)
    (settings.crl_folder / name).write_bytes(b"a list")

    (fault,) = faults_of(settings)

    assert f"{name}` is not read, only `*.pem` is" in fault.told
    (settings.crl_folder / "NOR.pem").write_bytes(b"the same in PEM")
    assert faults_of(settings) == ()


@pytest.mark.parametrize("kind", [BlobStore, BundleArchive])
@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("", "is none of"),
        ("file:///", "names no folder"),
        ("file://relative", "names no folder"),
        ("file://host/folder", "names no folder"),
        ("s3://", "names no bucket"),
        ("s3:///prefix", "names no bucket"),
        ("s3://bucket?key=secret", "stands in the log"),
        ("s3://bucket#secret", "stands in the log"),
    ],
)
def test_place_that_is_none_is_refused(kind: type[BlobStore], url: str, told: str) -> None:
    """What was written as `file://archive` lay in whatever folder the service was started in."""
    with pytest.raises(UnsafeSettingError, match=told):
        kind(url)


def test_list_of_the_environment_is_json(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXCHANGE_WEBHOOK_PRIVATE_NETWORKS", "10.1.0.0/16")

    with pytest.raises(UnsafeSettingError, match=r'"webhook_private_networks".*write lists as JSON'):
        load_settings(folder)


def test_folder_that_is_no_instance_names_the_mend(tmp_path: Path) -> None:
    with pytest.raises(UnsafeSettingError, match="exchange init"):
        load_settings(tmp_path)


@pytest.mark.parametrize("address", ["u:secret@db/x", "u@db/x?password=secret"])
def test_password_in_an_address_is_refused(folder: Path, address: str) -> None:
    (folder / "exchange.toml").write_text(f'database_url = "postgresql+asyncpg://{address}"\n')

    with pytest.raises(UnsafeSettingError, match="`database_url` holds a password: put it into a file"):
        load_settings(folder).database_url_with_password()


def test_password_comes_from_its_file(folder: Path) -> None:
    secret = folder / "password"
    secret.write_text("p@ss/word\n")
    secret.chmod(0o600)
    (folder / "exchange.toml").write_text(
        'database_url = "postgresql+asyncpg://u@db/x"\ndatabase_password_file = "password"\n'
    )

    assert load_settings(folder).database_url_with_password() == "postgresql+asyncpg://u:p%40ss%2Fword@db/x"


def test_sequencer_logs_in_as_itself_and_the_service_does_not(folder: Path) -> None:
    for name in ("service", "sequencer"):
        (folder / name).write_text(f"{name}-word\n")
        (folder / name).chmod(0o600)
    (folder / "exchange.toml").write_text(
        'database_url = "postgresql+asyncpg://service@db/x"\ndatabase_password_file = "service"\n'
        'sequencer_database_url = "postgresql+asyncpg://sequencer@db/x"\n'
        'sequencer_database_password_file = "sequencer"\n'
    )
    found = load_settings(folder)

    assert found.sequencer_url_with_password() == "postgresql+asyncpg://sequencer:sequencer-word@db/x"
    assert found.database_url_with_password() == "postgresql+asyncpg://service:service-word@db/x"


@pytest.mark.parametrize(("content", "told"), [(b" \n", "is empty"), (b"\xff", "is no text")])
def test_password_that_is_none_is_refused(folder: Path, content: bytes, told: str) -> None:
    (folder / "password").write_bytes(content)
    (folder / "password").chmod(0o600)
    (folder / "exchange.toml").write_text(
        'database_url = "postgresql+asyncpg://u@db/x"\ndatabase_password_file = "password"\n'
    )

    with pytest.raises(UnsafeSettingError, match=told):
        load_settings(folder).database_url_with_password()


@pytest.mark.parametrize("url", ["postgresql+asyncpg://u:secret@db/x", "no address"])
def test_address_with_a_password_or_none_at_all_is_refused(folder: Path, url: str) -> None:
    (folder / "exchange.toml").write_text(f'database_url = "{url}"\n')

    with pytest.raises(UnsafeSettingError) as refused:
        load_settings(folder).database_url_with_password()

    assert "secret" not in refused.value.message


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_secret_that_others_can_read_is_refused_with_the_mend(folder: Path, mode: int) -> None:
    path = InstanceLayout(folder).cursor_key_file
    path.chmod(mode)

    with pytest.raises(UnsafeSettingError, match="chmod 600"):
        load_settings(folder).cursor_key()


@pytest.mark.parametrize(
    "content", [b"", b"short", bytes(range(31)), bytes(range(33)), bytes(32), b"a" * 32, b"ab" * 16]
)
def test_key_that_is_none_is_refused(folder: Path, content: bytes) -> None:
    InstanceLayout(folder).cursor_key_file.write_bytes(content)

    with pytest.raises(UnsafeSettingError):
        load_settings(folder).cursor_key()


def test_node_key_of_another_scheme_is_refused(folder: Path) -> None:
    path = InstanceLayout(folder).node_key_file
    path.write_bytes(SigningKey.from_seed(SignatureScheme.ML_DSA_44, bytes(range(32))).to_pem())
    path.chmod(0o600)

    with pytest.raises(UnsafeSettingError, match="is no Ed25519 key"):
        load_settings(folder).node_key()


def test_missing_secret_and_link_and_folder_are_refused(folder: Path) -> None:
    link = folder / "link"
    link.symlink_to(InstanceLayout(folder).cursor_key_file)

    with pytest.raises(UnsafeSettingError, match=r"secret .* is missing"):
        read_secret(folder / "absent")
    for path in (link, folder):
        with pytest.raises(UnsafeSettingError, match=r"secret .* is not a plain file"):
            read_secret(path)


def test_link_that_takes_the_place_of_a_secret_while_it_is_looked_at_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "link").symlink_to(InstanceLayout(folder).cursor_key_file)
    monkeypatch.setattr(Path, "is_symlink", lambda _: False)

    with pytest.raises(UnsafeSettingError, match="cannot be read"):
        read_secret(folder / "link")


@pytest.mark.parametrize(
    ("name", "is_mounted"),
    [("key", True), ("link", True), ("../beside/key", False), ("linked/key", False), ("led_out", False)],
)
def test_only_what_truly_lies_below_the_mount_may_be_read_by_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, *, is_mounted: bool
) -> None:
    mount, beside = tmp_path / "secrets", tmp_path / "beside"
    for place in (mount, beside):
        place.mkdir()
        (place / "key").write_bytes(b"secret")
        (place / "key").chmod(0o444)
    (mount / "link").symlink_to("key")
    (mount / "linked").symlink_to(beside)
    (mount / "led_out").symlink_to(beside / "key")
    monkeypatch.setattr("exchange.kernel.files.SECRET_MOUNT", mount)

    if is_mounted:
        assert read_secret(mount / name) == b"secret"
        return
    with pytest.raises(UnsafeSettingError):
        read_secret(mount / name)


@pytest.mark.timeout(20)
def test_pipe_in_the_place_of_a_secret_is_refused_and_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "pipe", 0o600)

    with pytest.raises(UnsafeSettingError, match="is not a plain file"):
        read_secret(folder / "pipe")


def test_secret_is_read_from_the_file_that_was_checked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = InstanceLayout(folder).cursor_key_file
    checked, asked = path.read_bytes(), os.fstat

    def exchanged(handle: int) -> os.stat_result:
        path.unlink()
        path.write_bytes(b"somebody else's key")
        return asked(handle)

    monkeypatch.setattr("exchange.settings.os.fstat", exchanged)

    assert read_secret(path) == checked


def test_secret_of_another_user_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = InstanceLayout(folder).cursor_key_file
    owner = path.stat().st_uid
    monkeypatch.setattr("exchange.settings.os.geteuid", lambda: owner + 1)
    if owner == 0:
        os.chown(path, 4711, -1)

    with pytest.raises(UnsafeSettingError, match="another user"):
        read_secret(path)


def test_folder_without_policies_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsafeSettingError, match="no policies"):
        read_policies(tmp_path)


def test_networks_of_webhooks_are_read_and_nonsense_is_refused(folder: Path) -> None:
    assert load_settings(folder).private_networks == ()
    write = (folder / "exchange.toml").write_text
    write('webhook_private_networks = ["10.1.0.0/16", "fd00::/8"]\n')
    assert [str(network) for network in load_settings(folder).private_networks] == ["10.1.0.0/16", "fd00::/8"]
    write('webhook_private_networks = ["10.1.2.3/16"]\n')

    with pytest.raises(UnsafeSettingError, match="webhook_private_networks"):
        load_settings(folder)


def test_missing_or_empty_secret_is_told_with_its_mend(tmp_path: Path) -> None:
    (tmp_path / "empty.key").touch(0o600)

    for name, fault in (("gone.key", "missing"), ("empty.key", "empty")):
        told = rf"`.*/{name}` is {fault}: put it back; an instance's own are in its escrow"
        with pytest.raises(UnsafeSettingError, match=told):
            read_secret(tmp_path / name)
