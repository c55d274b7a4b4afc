"""A new instance: everything in its place, secrets for their owner alone, nothing overwritten."""

import stat
from datetime import UTC, datetime

import pytest

from exchange.cli import init as init_module
from exchange.crypto import read_certificate
from exchange.kernel import UnavailableError
from exchange.settings import InstanceLayout


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_init_says_what_to_do_next(exchange, tmp_path):
    ran = exchange("init", "--dir", tmp_path / "new")

    assert ran.code == 0
    assert f"exchange serve --dir {tmp_path / 'new'}" in ran.out


def test_init_tells_programs_where_things_are(exchange, tmp_path):
    ran = exchange("init", "--dir", tmp_path / "new", "--json")

    assert ran.json == {
        "id": str(tmp_path / "new"),
        "member": "EXCHANGE",
        "ca": str(tmp_path / "new" / "tls" / "ca.pem"),
    }


def test_secrets_are_for_their_owner_alone(instance):
    layout = InstanceLayout(instance)

    keys = (layout.cursor_key_file, layout.node_key_file, layout.server_key_file, layout.authority_key_file)
    for secret in (layout.roots_file, *keys):
        assert mode(secret) == 0o600
    for folder in (instance, layout.roots_file.parent, layout.cursor_key_file.parent, layout.tls_folder):
        assert mode(folder) == 0o700


def test_two_instances_share_no_secret(exchange, tmp_path):
    folders = (tmp_path / "one", tmp_path / "two")
    for folder in folders:
        assert exchange("init", "--dir", folder).code == 0
    one, two = map(tree, folders)

    secrets = [name for name in one if name.endswith((".key", "roots.json", ".pem"))]
    assert len(secrets) == 9
    assert all(one[name] != two[name] for name in secrets)


def test_server_certificate_holds_local_names_and_those_asked_for(exchange, tmp_path):
    from cryptography import x509

    exchange("init", "--dir", tmp_path / "new", "--host-name", "exchange.example", "--host-name", "10.0.0.7")

    certificate = x509.load_pem_x509_certificate((tmp_path / "new" / "tls" / "server.pem").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "exchange.example"]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "10.0.0.7"]


def test_init_makes_the_exchange_its_own_member(operate):
    found = operate("member", "list", "--json").json

    assert {"EXCHANGE", "GBR", "NOR"} == {member["id"] for member in found}


def test_second_init_refuses_and_changes_nothing(exchange, instance):
    before = tree(instance)

    ran = exchange("init", "--dir", instance)

    assert ran.code == 1
    assert "`exchange.toml`" in ran.err
    assert "nothing was changed" in ran.err
    assert tree(instance) == before


@pytest.mark.parametrize("left", ["exchange.toml", "exchange.db", "custody", "secrets", "tls"])
def test_part_of_an_instance_is_not_overwritten(exchange, tmp_path, left):
    (tmp_path / left).write_text("precious")

    ran = exchange("init", "--dir", tmp_path)

    assert ran.code == 1
    assert f"`{left}`" in ran.err
    assert tree(tmp_path) == {left: b"precious"}


def test_dangling_link_is_something_too(exchange, tmp_path):
    (tmp_path / "exchange.toml").symlink_to("/nowhere")

    assert exchange("init", "--dir", tmp_path).code == 1


def test_folder_with_other_things_is_taken(exchange, tmp_path):
    (tmp_path / "lost+found").mkdir()

    assert exchange("init", "--dir", tmp_path).code == 0


def test_file_in_place_of_the_folder_refuses(exchange, tmp_path):
    (tmp_path / "file").write_text("x")

    ran = exchange("init", "--dir", tmp_path / "file")

    assert ran.code == 1
    assert "is a file" in ran.err


def test_failed_init_takes_back_what_it_made(exchange, tmp_path, monkeypatch):
    async def fail(_url):
        raise UnavailableError("no database")

    monkeypatch.setattr(init_module, "migrate", fail)

    ran = exchange("init", "--dir", tmp_path / "new")

    assert ran.code == 1
    assert "no database" in ran.err
    assert not (tmp_path / "new").exists()


def test_failed_init_leaves_what_was_there(exchange, tmp_path, monkeypatch):
    async def fail(_url):
        raise UnavailableError("no database")

    monkeypatch.setattr(init_module, "migrate", fail)
    (tmp_path / "mine").write_text("precious")

    assert exchange("init", "--dir", tmp_path).code == 1
    assert tree(tmp_path) == {"mine": b"precious"}


def killed(*_given, **_named):
    raise KeyboardInterrupt


@pytest.mark.parametrize("amid", ["_record_birth", "_finish"])
def test_instance_whose_making_was_killed_is_finished(exchange, tmp_path, monkeypatch, amid):
    """A composed service that was killed amid its first start went on for ever without the exchange's own member.

    Killed before its settings it was told to run what it had just run, for ever.
    """
    folder = tmp_path / "new"
    with monkeypatch.context() as patch:
        patch.setattr(init_module, amid, killed)
        patch.setattr(init_module, "_take_back", lambda *_given, **_named: None)
        assert exchange("init", "--dir", folder).code != 0
    again = exchange("init", "--dir", folder)
    assert (again.code, "exchange init --if-absent` ends it" in again.err) == (1, True)

    assert exchange("init", "--dir", folder, "--if-absent").code == 0

    assert [each["code"] for each in exchange("member", "list", "--dir", folder, "--json").json] == ["EXCHANGE"]
    assert "nothing was changed" in exchange("init", "--dir", folder, "--if-absent").out


def test_part_of_an_instance_that_was_never_one_says_so(exchange, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(init_module, "make_log_key", killed)
        patch.setattr(init_module, "_take_back", lambda *_given, **_named: None)
        assert exchange("init", "--dir", tmp_path / "new").code != 0

    again = exchange("init", "--dir", tmp_path / "new", "--if-absent")

    assert (again.code, "before anything was under its keys: remove it" in again.err) == (1, True)


def test_instance_that_was_killed_amid_its_folders_says_that_it_may_go(exchange, tmp_path, monkeypatch):
    """Its folders without a word in them were taken for an instance that somebody uses."""
    make = init_module._make_folders
    with monkeypatch.context() as patch:
        patch.setattr(init_module, "_make_folders", lambda first, *others: killed() if others else make(first))
        patch.setattr(init_module, "_take_back", lambda *_given, **_named: None)
        assert exchange("init", "--dir", tmp_path / "new").code != 0
    (tmp_path / "new" / "custody").mkdir()

    again = exchange("init", "--dir", tmp_path / "new", "--if-absent")

    assert (again.code, "before anything was under its keys: remove it" in again.err) == (1, True)


def test_instance_that_was_killed_at_its_first_file_says_that_it_may_go(exchange, tmp_path):
    (tmp_path / "new").mkdir()
    InstanceLayout(tmp_path / "new").unfinished_file.touch()

    again = exchange("init", "--dir", tmp_path / "new", "--if-absent")

    assert (again.code, "before anything was under its keys: remove it" in again.err) == (1, True)


def test_certificates_outlast_the_year(instance):
    layout = InstanceLayout(instance)
    ends = read_certificate(layout.authority_certificate_file.read_bytes()).not_after

    assert ends.year >= datetime.now(UTC).year + 9


@pytest.mark.parametrize("name", ["a?b", "a%41", "100%", "a#b"])
def test_database_lies_in_the_instance_whatever_its_folder_is_called(exchange, tmp_path, name):
    """What stands before a `?` was taken for the whole name: two instances shared one database beside them."""
    folder = tmp_path / "within" / name

    assert exchange("init", "--dir", folder).code == 0

    assert (folder / "exchange.db").is_file()
    assert [path.name for path in folder.parent.iterdir()] == [name]


def test_folder_is_told_as_it_was_given(exchange, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert exchange("init", "--dir", "instance").out.startswith(
        "made an instance in instance\nnext:\n  exchange serve --dir instance"
    )


def test_instance_whose_settings_are_gone_is_not_told_to_be_made_anew(exchange, instance):
    settings = InstanceLayout(instance.absolute()).settings_file
    settings.unlink()

    for verb in ("serve", "init"):
        ran = exchange(verb, "--dir", instance)
        assert ran.code == 1
        assert "exchange.toml` is missing: put it back" in ran.err
    settings.touch()
    assert exchange("status", "--dir", instance).code == 0
