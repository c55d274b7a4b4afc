"""The doctor finds each fault and says its mend."""

from datetime import UTC, datetime, timedelta

import pytest

from exchange.crypto import issue_server, new_authority
from exchange.settings import InstanceLayout


@pytest.fixture
def findings(operate):
    def examine():
        ran = operate("doctor", "--json")
        return ran.code, {finding["id"]: finding for finding in ran.json}

    return examine


def test_new_instance_is_sound(findings):
    code, found = findings()

    assert code == 0
    assert {finding["state"] for finding in found.values()} == {"ok"}
    assert {"clock", "settings", "trust bundle", "law", "store", "policy", "custody"} <= found.keys()


@pytest.mark.parametrize(
    "secret", ["custody/roots.json", "secrets/cursor.key", "secrets/node.key", "tls/server.key", "tls/ca.key"]
)
def test_secret_that_others_can_read_must_be_mended(findings, instance, secret):
    (instance / secret).chmod(0o644)

    code, found = findings()

    finding = found[f"secret {secret.rpartition('/')[2]}"]
    assert code == 1
    assert finding["state"] == "mend"
    assert finding["mend"] == f"chmod 600 {instance / secret}"


@pytest.mark.parametrize("secret", ["custody/roots.json", "secrets/cursor.key", "tls/server.key"])
def test_missing_secret_must_be_mended(findings, instance, secret):
    (instance / secret).unlink()

    code, found = findings()

    assert code == 1
    assert found[f"secret {secret.rpartition('/')[2]}"]["state"] == "mend"


def test_instance_of_an_older_version_is_told_how_to_make_its_node_key(exchange, findings, instance):
    (instance / "secrets/node.key").unlink()

    code, found = findings()
    mended = exchange("migrate", "--dir", instance)

    assert code == 1
    assert found["secret node.key"]["mend"] == "exchange migrate"
    assert mended.code == 0
    assert findings()[0] == 0


def test_open_folder_is_a_warning_only(findings, instance):
    instance.chmod(0o755)

    code, found = findings()

    assert code == 0
    assert found["folder"]["state"] == "warning"


@pytest.mark.parametrize(("days", "state", "code"), [(10, "warning", 0), (-1, "mend", 1)])
def test_ending_certificate_is_told(findings, instance, days, state, code):
    layout = InstanceLayout(instance)
    now = datetime.now(UTC)
    issued = now - timedelta(days=100)
    pair = issue_server(new_authority("x", issued), ["localhost"], now=issued, days=100 + days)
    layout.server_certificate_file.write_bytes(pair.certificate_pem)
    layout.server_key_file.write_bytes(pair.key_pem)

    found_code, found = findings()

    assert found_code == code
    assert found["certificate server.pem"]["state"] == state


def test_certificate_that_is_none_must_be_mended(findings, instance):
    InstanceLayout(instance).server_certificate_file.write_text("hello")

    code, found = findings()

    assert code == 1
    assert found["certificate server.pem"]["state"] == "mend"
    assert found["trust bundle"]["state"] == "mend"


def test_no_authority_must_be_mended(findings, instance):
    for path in InstanceLayout(instance).authorities_folder.iterdir():
        path.unlink()

    code, found = findings()

    assert code == 1
    assert "exchange ca add" in found["trust bundle"]["mend"]


def test_vanished_database_must_be_mended(findings, instance):
    InstanceLayout(instance).database_file.unlink()

    code, found = findings()

    assert code == 1
    assert "exchange migrate" in found["service"]["told"]
    assert not InstanceLayout(instance).database_file.exists()


def test_other_law_than_the_one_in_force_must_be_mended(findings, monkeypatch, tmp_path):
    import shutil

    from exchange.cli.instance import policies_folder

    other = shutil.copytree(policies_folder(), tmp_path / "law")
    vocabulary = other / "classification" / "NATO.yaml"
    text = vocabulary.read_text(encoding="utf-8")
    vocabulary.write_text(text.replace("title: NATO security policy", "title: another"), encoding="utf-8")
    monkeypatch.setenv("EXCHANGE_POLICIES_DIR", str(other))

    code, found = findings()

    assert code == 1
    assert found["policy"]["state"] == "mend"


def test_broken_law_must_be_mended(findings, monkeypatch, tmp_path):
    (tmp_path / "vocabulary.yaml").write_text("frob: 1")
    monkeypatch.setenv("EXCHANGE_POLICIES_DIR", str(tmp_path))

    code, found = findings()

    assert code == 1
    assert found["law"]["state"] == "mend"


def test_wrong_settings_are_told_alone(findings, instance):
    (instance / "exchange.toml").write_text("frob = 1")

    code, found = findings()

    assert code == 1
    assert "frob" in found["settings"]["told"]


@pytest.mark.parametrize("secret", ["custody/roots.json", "secrets/cursor.key", "tls/server.key"])
@pytest.mark.parametrize("fault", ["shared", "missing"])
def test_service_refuses_to_start_on_an_unsafe_secret(operate, instance, secret, fault):
    path = instance / secret
    if fault == "shared":
        path.chmod(0o640)
    else:
        path.unlink()

    ran = operate("serve", "--port", "0")

    assert ran.code == 1
    assert ran.out == ""
    assert str(path) in ran.err
