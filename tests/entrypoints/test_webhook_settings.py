"""Webhooks as an operator sets them: where they may lead, and the secret that each signs with."""

from base64 import b64encode
from pathlib import Path

import pytest

from exchange.crypto import WebhookKey
from exchange.kernel import UnsafeSettingError
from exchange.services import WebhookSecrets, webhooks_of
from exchange.settings import load_settings


def with_webhook(folder: Path, fields: str) -> None:
    (folder / "exchange.toml").write_text(f'[[alert_webhooks]]\nname = "soc"\nsecret_file = "hook"\n{fields}\n')


def test_secret_of_a_webhook_is_read_anew_and_stays_where_it_is_broken(tmp_path: Path, caplog) -> None:
    another = '[[alert_webhooks]]\nname = "noc"\nsecret_file = "hook"\nurl = "https://noc.example/"'
    with_webhook(tmp_path, f'url = "https://soc.example/alerts"\n{another}')
    path = tmp_path / "hook"

    def put(fill: int, mode: int = 0o600) -> None:
        path.write_text("whsec_" + b64encode(bytes([fill, *range(31)])).decode())
        path.chmod(mode)

    def signed(key: WebhookKey) -> str:
        return key.sign("id", 1, b"{}")

    put(1)
    settings = load_settings(tmp_path)
    hooks = webhooks_of(settings)
    hook, secrets = hooks[0], WebhookSecrets(settings, hooks)
    put(2)
    renewed = secrets.renewed(hook)
    put(3, 0o644)

    assert [signed(secrets.renewed(hook).key) for _ in range(2)] == [signed(renewed.key)] * 2
    assert caplog.text.count("stays what it was") == 1
    assert signed(renewed.key) != signed(hook.key)
    path.chmod(0o600)
    assert signed(secrets.renewed(hook).key) not in {signed(renewed.key), signed(hook.key)}


@pytest.mark.parametrize(
    "fields",
    [
        'url = "http://soc.example/alerts"',
        'url = "https://127.0.0.1/alerts"',
        'url = "https://127.1/alerts"',
        'url = "https://2130706433/alerts"',
        'url = "https://0x7f000001/alerts"',
        'url = "https://[::1]/alerts"',
        'url = "https://[::ffff:10.0.0.1]/alerts"',
        'url = "https://169.254.169.254/latest"',
        'url = "https://localhost/alerts"',
        'url = "https://db.internal/alerts"',
        'url = "https://localhost./alerts"',
        'url = "https://user:secret@soc.example/"',
        'url = "https://soc.example/#fragment"',
        'url = "https://soc.example:0/"',
        'url = "https://soc.example:99999/"',
        'url = "https:///alerts"',
        'url = "https://s\u00f6c.example/"',
        'url = "file:///etc/passwd"',
        'url = "https://soc.example/"\nallow = true',
        'url = "https://soc.example/"\n[[alert_webhooks]]\nname = "soc"\nsecret_file = "x"\nurl = "https://b.example/"',
    ],
)
def test_31_webhook_to_where_only_we_can_reach_is_refused_at_registration(tmp_path: Path, fields: str) -> None:
    with_webhook(tmp_path, fields)

    with pytest.raises(UnsafeSettingError, match="alert_webhooks"):
        load_settings(tmp_path)


@pytest.mark.parametrize("host", ["127.0.0.1:8443", "localhost", "soc.internal"])
def test_31_operator_may_allow_that_very_host(tmp_path: Path, host: str) -> None:
    with_webhook(tmp_path, f'url = "https://{host}/alerts"\nprivate = true')
    (hook,) = load_settings(tmp_path).alert_webhooks

    assert hook.private


def test_webhook_has_its_secret_from_a_file_of_its_own(tmp_path: Path) -> None:
    with_webhook(tmp_path, 'url = "https://soc.example/alerts"\nprivate = true\nauthority_file = "soc.pem"')
    secret = tmp_path / "hook"
    secret.write_text("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n")
    secret.chmod(0o600)
    (hook,) = webhooks_of(load_settings(tmp_path))
    assert (hook.name, hook.url) == ("soc", "https://soc.example/alerts")
    assert (hook.is_private, hook.authority) == (True, str(tmp_path / "soc.pem"))

    for content, match in ((b"password", "no webhook secret"), (b"\xff", "no webhook secret"), (b"", "empty")):
        secret.write_bytes(content)
        with pytest.raises(UnsafeSettingError, match=match):
            webhooks_of(load_settings(tmp_path))
    secret.chmod(0o644)
    with pytest.raises(UnsafeSettingError, match="chmod 600"):
        webhooks_of(load_settings(tmp_path))
