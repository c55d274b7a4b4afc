"""How a witness shouts: whom it tells of a contradiction, and that it tells again whom it has not told."""

import json
import logging
import sys
from http import HTTPStatus
from pathlib import Path
from unittest.mock import Mock

import httpx2
import pytest

from exchange.client.witness import Alarm, Shout, WitnessError
from tests.client import test_witness_desk
from tests.support.shown_log import MadeLog
from tests.support.witness import Witness

log, path = test_witness_desk.log, test_witness_desk.path


def test_alert_command_gets_the_facts_and_no_shell(path: Path, log: MadeLog, tmp_path: Path) -> None:
    out = tmp_path / "alerted"
    script = tmp_path / "alert.py"
    script.write_text(f"import json, sys; open({str(out)!r}, 'w').write(json.dumps(sys.argv[1:]))")
    witness = Witness(path, command=f"{sys.executable} {script}")
    witness.desk.add_checkpoint(log.body(0))

    witness.desk.add_checkpoint(log.cut(5).grow(7, "forged").body(12))
    witness.alarm.wait()

    witness.close()
    finding, origin, evidence, told = json.loads(out.read_text())
    assert (finding, origin) == ("forked", log.origin)
    assert Path(evidence) == witness.evidence()[0]
    assert "different histories" in told


def test_name_of_a_log_is_no_option_of_the_alert_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exchange shows a log of any name, which no witness knows: as `-o/etc/passwd` it told the command what to do."""
    run = Mock()
    monkeypatch.setattr("exchange.client.witness.alarm.subprocess.run", run)
    alarm = Alarm("page --now")

    alarm.ring(Shout("-o/etc/passwd", "unknown-log", "no such log is known here", tmp_path), is_new=True)
    alarm.wait()

    (arguments,) = run.call_args.args
    assert arguments == ["page", "--now", "unknown-log", " -o/etc/passwd", str(tmp_path), "no such log is known here"]


@pytest.mark.parametrize(
    "alarm",
    [{"command": "/nonexistent"}, *({"url": f"http://{place}/"} for place in ("127.0.0.1:9", "127.0.0.1:x", "a..b"))],
)
def test_alert_that_fails_is_said_and_nothing_else_changes(path: Path, log: MadeLog, caplog, alarm) -> None:
    witness = Witness(path, **alarm)
    witness.desk.add_checkpoint(log.body(0))

    with caplog.at_level(logging.ERROR):
        answer = witness.desk.add_checkpoint(log.cut(5).grow(7, "forged").body(12))
        witness.alarm.wait()

    witness.close()
    assert answer.status == HTTPStatus.CONFLICT
    assert "failed" in caplog.text


def test_alarm_that_gets_no_thread_is_said_and_nothing_else_changes(
    path: Path, log: MadeLog, monkeypatch, caplog
) -> None:
    command, out = counting(path)
    witness = Witness(path, command=command)
    witness.desk.add_checkpoint(log.body(0))

    def none_left(_thread: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr("exchange.client.witness.alarm.threading.Thread.start", none_left)
        answer = witness.desk.add_checkpoint(log.cut(5).grow(7, "forged").body(12))
    witness.alarm.wait()

    witness.close()
    assert answer.status == HTTPStatus.CONFLICT
    assert "the alarm went nowhere else: can't start new thread" in caplog.text
    assert len(witness.evidence()) == 1
    assert not out.exists()


def test_alert_command_that_is_none_keeps_the_webhook_from_nothing(path: Path, log: MadeLog, caplog) -> None:
    witness = Witness(path, command="page 'the officer", url="http://127.0.0.1:9/")
    witness.desk.add_checkpoint(log.body(0))

    witness.desk.add_checkpoint(log.cut(5).grow(7, "forged").body(12))
    witness.alarm.wait()

    witness.close()
    assert "the alert command failed" in caplog.text
    assert "the alert webhook failed" in caplog.text


def counting(path: Path) -> tuple[str, Path]:
    """Return a command that counts how often it was run, and the file in which it does."""
    script, out = path.with_name("count.py"), path.with_name("counted")
    script.write_text(f"open({str(out)!r}, 'a').write('x')")
    return f"{sys.executable} {script}", out


@pytest.mark.parametrize("failing", ["/nonexistent", "false"])
def test_alarm_that_nobody_was_told_of_is_rung_again_after_a_restart_and_then_no_more(
    path: Path, log: MadeLog, failing: str
) -> None:
    command, out = counting(path)
    first = Witness(path, command=failing)
    first.desk.add_checkpoint(log.body(0))
    forged = log.cut(5).grow(7, "forged").body(12)
    first.desk.add_checkpoint(forged)
    first.alarm.wait()
    first.close()

    for _ in range(2):
        again = Witness(path, command=command)
        again.desk.add_checkpoint(forged)
        again.alarm.wait()
        again.close()

    assert out.read_text() == "x"


def test_webhook_that_answers_with_a_failure_told_nobody(path: Path, log: MadeLog, monkeypatch) -> None:
    asked = httpx2.Request("POST", "https://desk.example/alarm")
    post = Mock(side_effect=[httpx2.Response(status, request=asked) for status in (503, 204)])
    monkeypatch.setattr("exchange.client.witness.alarm.httpx2.post", post)
    for _ in range(3):
        witness = Witness(path, url=str(asked.url))
        for body in (log.body(0), log.cut(5).grow(7, "forged").body(12)):
            witness.desk.add_checkpoint(body)
        witness.alarm.wait()
        witness.close()

    told = "two trees of size 12, both signed by the log: it shows different histories"
    alarm = {"origin": log.origin, "finding": "forked", "told": told, "evidence": str(witness.evidence()[0])}
    assert [json.loads(call.kwargs["content"]) for call in post.call_args_list] == [alarm] * 2
    assert not any(call.kwargs["trust_env"] for call in post.call_args_list)


def test_alarm_that_nobody_hears_is_rung_once_for_each_contradiction_while_the_process_lives(
    path: Path, log: MadeLog
) -> None:
    command, out = counting(path)
    script = path.with_name("count.py")
    script.write_text(f"{script.read_text()}\nraise SystemExit(1)")
    witness = Witness(path, command=command)
    witness.desk.add_checkpoint(log.body(0))
    forged = [log.cut(5).grow(7, which).body(12) for which in ("one", "other")]

    for body in forged * 2:
        witness.desk.add_checkpoint(body)
        witness.alarm.wait()

    witness.close()
    assert out.read_text() == "xx"


def test_contradiction_that_cannot_be_kept_is_shouted_once_all_the_same(path: Path, log: MadeLog, monkeypatch) -> None:
    command, out = counting(path)
    witness = Witness(path, command=command)
    witness.desk.add_checkpoint(log.body(0))
    forged = log.cut(5).grow(7, "forged").body(12)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("exchange.client.witness.folder.os.fsync", full)
        for _ in range(2):
            with pytest.raises(WitnessError, match="no space left"):
                witness.desk.add_checkpoint(forged)
        witness.alarm.wait()

    witness.close()
    assert witness.alarm.has_rung
    assert out.read_text() == "x"


def test_disk_that_cannot_note_that_somebody_was_told_is_said(path: Path, log: MadeLog, monkeypatch, caplog) -> None:
    command, out = counting(path)
    witness = Witness(path, command=command)
    witness.desk.add_checkpoint(log.body(0))

    def full(*_: object) -> None:
        raise WitnessError("no space left on device")

    monkeypatch.setattr("exchange.client.witness.folder.WitnessFolder.mark_shouted", full)
    witness.desk.add_checkpoint(log.cut(5).grow(7, "forged").body(12))
    witness.alarm.wait()

    witness.close()
    assert out.read_text() == "x"
    assert "it will be shouted again: no space left on device" in caplog.text


def test_what_a_stranger_calls_its_log_steers_no_terminal(path: Path, caplog) -> None:
    witness = Witness(path)

    answer = witness.desk.add_checkpoint(MadeLog("log\u202eexe.example/\x9b2J").grow(3).body(0))

    witness.close()
    assert answer.status in {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND}
    assert not {"\u202e", "\x9b"} & set(caplog.text)
