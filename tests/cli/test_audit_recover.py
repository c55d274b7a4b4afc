"""`exchange audit recover` that does not come to its end: the log before it can be signed again, or the new one is."""

import shutil

import pytest

from exchange.custody import load_log_key
from exchange.settings import InstanceLayout
from exchange.usecases.sequence_log import Step
from tests.support.instance_log import sequence


@pytest.fixture
def frozen(instance, tmp_path):
    """An instance whose database was put back: its log is frozen, and what was there before is in the folder."""
    sequence(instance, 3)
    shutil.copy(instance / "exchange.db", tmp_path / "yesterday.db")
    sequence(instance, 3)
    shutil.copy(instance / "exchange.db", tmp_path / "right.db")
    shutil.copy(tmp_path / "yesterday.db", instance / "exchange.db")
    assert sequence(instance, 1) is Step.FROZEN
    return InstanceLayout(instance)


def test_refused_recovery_leaves_the_keys_of_the_log_that_may_go_on(frozen, instance, operate, tmp_path):
    before = load_log_key(frozen.log_key_file).verifier_keys
    (tmp_path / "note").write_bytes(b"no checkpoint")

    refused = operate("audit", "recover", "--witnessed", tmp_path / "note")
    shutil.copy(tmp_path / "right.db", instance / "exchange.db")

    assert refused.code == 1
    assert load_log_key(frozen.log_key_file).verifier_keys == before
    assert sequence(instance, 1) is not Step.FROZEN


@pytest.mark.parametrize("stopped_at", ["cli.audit_log.take_log_key", "usecases.recover_log.recover_log"])
def test_recovery_that_was_stopped_is_finished_by_the_next_one(frozen, operate, instance, monkeypatch, stopped_at):
    class Killed(BaseException):
        pass

    def killed(*_given, **_named):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(f"exchange.{stopped_at}", killed)
        with pytest.raises(Killed):
            operate("audit", "recover")

    again = operate("audit", "recover", "--json")

    origin = load_log_key(frozen.log_key_file).origin
    assert (again.code, again.json["id"]) == (0, origin)
    assert origin.endswith("/2")
    assert load_log_key(frozen.log_key_file).verifier_keys in frozen.log_verifier_file.read_text("utf-8")
    assert not list(frozen.log_key_file.parent.glob("*.next"))
    assert sequence(instance, 1) is not Step.FROZEN
    assert operate("audit", "verify", "--key", frozen.log_verifier_file).code == 0
