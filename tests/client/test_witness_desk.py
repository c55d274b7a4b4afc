"""A witness at its desk: what it keeps before it answers, and what it refuses."""

import json
import os
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path

import pytest

from exchange.audit import parse_note, verify_note
from exchange.audit.witness import SIZE_MEDIA_TYPE, Refuse, origin_hash, parse_submission
from exchange.client.witness import WitnessError, new_witness
from exchange.client.witness.desk import Cosigned
from exchange.client.witness.folder import WitnessFolder
from exchange.kernel import MalformedError
from tests.support.shown_log import MadeLog
from tests.support.witness import NAME, NOW, Witness


@pytest.fixture
def log() -> MadeLog:
    return MadeLog().grow(12)


@pytest.fixture
def path(tmp_path: Path, log: MadeLog) -> Path:
    new_witness(tmp_path / "witness", NAME, tuple(str(key) for key in log.known.keys), os.urandom)
    return tmp_path / "witness"


@pytest.fixture
def witness(path: Path):
    opened = Witness(path)
    yield opened
    opened.close()


def test_first_checkpoint_is_kept_and_cosigned_with_both_keys(witness: Witness, log: MadeLog) -> None:
    answer = witness.desk.add_checkpoint(log.body(0))

    assert answer.status == HTTPStatus.OK
    cosigned = parse_note(log.note().text.encode() + b"\n" + answer.content)
    attested = verify_note(cosigned, witness.keys.verifiers)
    assert [(each.key.name, each.at_seconds) for each in attested] == [(NAME, NOW), (NAME, NOW)]
    assert witness.held(log) == log.head()


def test_kept_note_has_the_signatures_of_log_and_witness_and_no_others(witness: Witness, log: MadeLog) -> None:
    stranger = MadeLog(seed="stranger").signers[0]
    submission = log.submission(0)
    foreign = submission.note.with_signatures(stranger.sign(submission.note.text, 1))

    witness.desk.consider(replace(submission, note=foreign))

    answer = witness.desk.newest(origin_hash(log.origin))
    kept = parse_note(answer.content)
    assert answer.status == HTTPStatus.OK
    assert {line.name for line in kept.signatures} == {log.origin, NAME}
    assert len(kept.signatures) == 4
    assert len(verify_note(kept, log.known.keys)) == 2


@pytest.mark.parametrize("origin", ["exchange.example/log/7", "elsewhere"])
def test_nothing_cosigned_is_nothing_to_monitor(witness: Witness, origin: str) -> None:
    assert witness.desk.newest(origin_hash(origin)).status == HTTPStatus.NOT_FOUND


def test_other_old_size_is_told_the_size(witness: Witness, log: MadeLog) -> None:
    witness.desk.add_checkpoint(log.body(0))
    log.grow(5)

    answer = witness.desk.add_checkpoint(log.body(3))

    assert (answer.status, answer.content, answer.content_type) == (409, b"12\n", SIZE_MEDIA_TYPE)
    assert witness.desk.add_checkpoint(log.body(12)).status == HTTPStatus.OK
    assert not witness.alarm.has_rung


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"nonsense", 400),
        (MadeLog("other.example/log").grow(3).body(0), 404),
        (MadeLog(seed="swapped").grow(3).body(0), 403),
        (MadeLog().grow(12).body(0).replace(b"old 0", b"old 13"), 400),
        (MadeLog().grow(12).body(4).replace(b"old 4", b"old 0"), 422),
    ],
)
def test_refusals_have_the_statuses_of_the_protocol(witness: Witness, body: bytes, status: int) -> None:
    answer = witness.desk.add_checkpoint(body)

    assert answer.status == status
    assert witness.held(MadeLog()).size == 0
    assert witness.desk.newest(origin_hash(MadeLog().origin)).status == HTTPStatus.NOT_FOUND


FORKS = [
    ("forked", lambda log: log.cut(5).grow(7, "forged").body(12), 409),
    ("forked", lambda log: log.cut(5).grow(7, "forged").body(5), 409),
    ("unproven", lambda log: log.cut(5).grow(9, "forged").body(12), 422),
]


@pytest.mark.parametrize(("finding", "body", "status"), FORKS)
def test_contradiction_is_refused_kept_and_shouted(
    witness: Witness, log: MadeLog, caplog, finding, body, status
) -> None:
    witness.desk.add_checkpoint(log.body(0))
    held = witness.desk.note_of(log.origin)

    asked = body(log)
    answer = witness.desk.add_checkpoint(asked)

    (evidence,) = witness.evidence()
    assert answer.status == status
    # Only who asked from another size is told one to ask again from.
    assert (answer.content_type == SIZE_MEDIA_TYPE) == (b"old 5\n" in asked)
    assert witness.alarm.has_rung
    assert f"ALARM: {finding}" in caplog.text
    assert (evidence / "held").read_bytes() == held
    shown = parse_note((evidence / "shown").read_bytes())
    assert verify_note(shown, log.known.keys)
    assert shown.text != log.note().text
    proof = parse_submission(asked).proof
    assert (evidence / "proof").read_text().splitlines() == [each.hex() for each in proof]
    assert finding in (evidence / "told").read_text()
    assert witness.held(log) == log.head()


def test_the_same_contradiction_is_kept_once(witness: Witness, log: MadeLog) -> None:
    witness.desk.add_checkpoint(log.body(0))
    forged = log.cut(5).grow(7, "forged").body(12)

    for _ in range(3):
        witness.desk.add_checkpoint(forged)

    assert len(witness.evidence()) == 1


def test_old_note_handed_in_by_anybody_is_no_alarm(witness: Witness, log: MadeLog) -> None:
    witness.desk.add_checkpoint(log.body(0))

    assert witness.desk.add_checkpoint(log.body(3, 8)).status == HTTPStatus.CONFLICT
    assert not witness.alarm.has_rung


def test_log_that_shows_an_old_checkpoint_as_its_newest_is_shouted(witness: Witness, log: MadeLog) -> None:
    witness.desk.add_checkpoint(log.body(0))

    outcome = witness.desk.consider(replace(log.submission(8, 8), old_size=12), is_newest=True)

    assert isinstance(outcome, Refuse)
    assert "rolled-back" in witness.evidence()[0].name
    assert "of size 8, and had one of size 12: it went back" in (witness.evidence()[0] / "told").read_text()


def test_log_that_shows_another_key_is_shouted(witness: Witness) -> None:
    witness.desk.consider(MadeLog(seed="swapped").grow(3).submission(0), is_newest=True)

    assert witness.alarm.has_rung
    assert "not-signed" in witness.evidence()[0].name


def test_witness_restored_from_backup_notices_by_its_own_signature(path: Path, log: MadeLog) -> None:
    witness = Witness(path)
    witness.desk.add_checkpoint(log.body(0))
    backup = witness.desk.note_of(log.origin)
    log.grow(8)
    later = witness.desk.consider(log.submission(12))
    assert isinstance(later, Cosigned)
    assert backup is not None
    witness.folder.keep(log.origin, backup)

    again = witness.desk.consider(replace(log.submission(12), note=parse_note(later.note)))

    witness.close()
    assert isinstance(again, Cosigned)
    assert again.head.size == 20
    assert witness.alarm.has_rung
    assert "state-lost" in witness.evidence()[0].name


def test_restart_goes_on_from_what_was_kept(path: Path, log: MadeLog) -> None:
    first = Witness(path)
    first.desk.add_checkpoint(log.body(0))
    first.close()

    second = Witness(path)

    assert second.held(log) == log.head()
    assert second.desk.add_checkpoint(log.body(0)).content == b"12\n"
    second.close()


def test_second_process_of_one_witness_is_refused(witness: Witness) -> None:
    with pytest.raises(WitnessError, match="another process is this witness"):
        WitnessFolder(witness.folder.path).__enter__()


def test_folder_that_is_not_held_is_not_written(path: Path) -> None:
    with pytest.raises(WitnessError, match="not held"):
        WitnessFolder(path).keep("log", b"note")


def test_full_disk_means_no_cosignature(witness: Witness, log: MadeLog, monkeypatch: pytest.MonkeyPatch) -> None:
    witness.desk.add_checkpoint(log.body(0))
    log.grow(3)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("exchange.client.witness.folder.os.fsync", full)
        with pytest.raises(WitnessError, match="no space left"):
            witness.desk.add_checkpoint(log.body(12))

    assert witness.held(log).size == 12
    assert witness.desk.add_checkpoint(log.body(12)).status == HTTPStatus.OK


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, int]]:
    """What has been made durable so far: each path by the name it had then, and how much was in it."""
    done: list[tuple[Path, int]] = []

    def sync(descriptor: int) -> None:
        done.append((Path(f"/proc/self/fd/{descriptor}").readlink(), os.fstat(descriptor).st_size))

    monkeypatch.setattr("exchange.client.witness.folder.os.fsync", sync)
    return done


def test_what_is_kept_is_on_the_disk_whole_and_by_its_name_before_it_is_cosigned(
    path: Path, log: MadeLog, synced: list[tuple[Path, int]]
) -> None:
    witness = Witness(path)
    witness.desk.add_checkpoint(log.body(0))
    witness.close()

    held = path / "logs.d" / origin_hash(log.origin) / "checkpoint"
    file, *folders = synced
    assert file == (held.with_suffix(".new"), held.stat().st_size)
    assert [each for each, _ in folders] == [held.parent, held.parent.parent, path]


def test_evidence_is_on_the_disk_whole_and_by_its_name(
    witness: Witness, log: MadeLog, synced: list[tuple[Path, int]]
) -> None:
    witness.desk.add_checkpoint(log.body(0))
    synced.clear()
    witness.desk.add_checkpoint(log.cut(5).grow(7, "forged").body(12))

    (evidence,) = witness.evidence()
    *files, (unfinished, _), (above, _), (top, _) = synced
    assert {(each.name, size) for each, size in files} == {
        (each.name, each.stat().st_size) for each in evidence.iterdir()
    }
    assert {each.parent for each, _ in files} == {unfinished}
    assert (above, top) == (evidence.parent, witness.folder.path)


def test_log_that_contradicts_itself_without_end_fills_no_disk(
    witness: Witness, log: MadeLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exchange.client.witness.folder._MOST_EVIDENCE", 2)
    witness.desk.add_checkpoint(log.body(0))
    for number in range(3):
        witness.desk.add_checkpoint(log.cut(5).grow(7, f"forged {number}").body(12))

    assert len(witness.evidence()) == 2


def test_folder_that_is_held_no_more_is_not_written(witness: Witness, log: MadeLog) -> None:
    witness.close()

    with pytest.raises(WitnessError, match="not held"):
        witness.folder.keep(log.origin, b"note")


def test_folder_and_key_are_their_owners_alone(path: Path) -> None:
    assert [each.stat().st_mode & 0o777 for each in (path, path / "witness.key")] == [0o700, 0o600]


def test_memory_that_cannot_be_read_is_not_taken_for_none(path: Path, log: MadeLog) -> None:
    held = path / "logs.d" / origin_hash(log.origin) / "checkpoint"
    held.mkdir(parents=True)

    with pytest.raises(WitnessError, match="cannot be read: is a directory"):
        Witness(path)


def test_what_a_crash_left_unfinished_is_no_part_of_what_is_kept(witness: Witness, log: MadeLog) -> None:
    witness.desk.add_checkpoint(log.body(0))
    unfinished = witness.folder.path / "logs.d" / origin_hash(log.origin) / "checkpoint.new"
    unfinished.write_bytes(b"x" * 100_000)

    witness.folder.keep(log.origin, b"note")

    assert witness.folder.held(log.origin) == b"note"


def test_changed_memory_is_not_believed(path: Path, log: MadeLog) -> None:
    witness = Witness(path)
    witness.desk.add_checkpoint(log.body(0))
    # An operator with the log's key may write any note into the folder; the witness's own signature it cannot write.
    witness.folder.keep(log.origin, log.cut(4).note().render())
    witness.close()

    with pytest.raises(WitnessError, match="was changed or damaged"):
        Witness(path)


@pytest.mark.parametrize("kept", [b"", b"no note", None])
def test_memory_of_another_log_or_of_nothing_is_not_believed(tmp_path: Path, log: MadeLog, kept: bytes | None) -> None:
    other, path = MadeLog("other.example/log").grow(3), tmp_path / "witness"
    new_witness(path, NAME, tuple(str(key) for key in (*log.known.keys, *other.known.keys)), os.urandom)
    witness = Witness(path)
    witness.desk.add_checkpoint(log.body(0))
    witness.desk.add_checkpoint(other.body(0))
    # What this witness cosigned itself, in the place of what it holds of a log that has grown further.
    witness.folder.keep(log.origin, witness.folder.held(other.origin) or b"" if kept is None else kept)
    witness.close()

    with pytest.raises(WitnessError, match="was changed or damaged"):
        Witness(path)


def test_two_requests_at_once_never_cosign_two_trees(
    witness: Witness, log: MadeLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whoever reads what is held goes on once another has read it too: which none can, while one is at the desk.
    read, together = witness.folder.held, threading.Barrier(2)

    def held(origin: str) -> bytes | None:
        found = read(origin)
        with suppress(threading.BrokenBarrierError):
            together.wait(0.1)
        return found

    monkeypatch.setattr(witness.folder, "held", held)
    bodies = [log.cut(12).grow(count, f"branch {count}").body(0) for count in range(1, 9)]
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda body=body: statuses.append(witness.desk.add_checkpoint(body).status))
        for body in bodies
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(statuses) == [200] + [409] * 7


KILLED = """
import os, sys
from pathlib import Path
from tests.support.witness import Witness
from tests.support.shown_log import MadeLog
from tests.support.witness import NAME, NOW, Witness

witness = Witness(Path(sys.argv[1]))
step, real = sys.argv[2], Path.replace

def die(*arguments):
    if step == "after":
        real(*arguments)
    os.kill(os.getpid(), 9)

Path.replace = die
witness.desk.add_checkpoint(MadeLog().grow(20).body(12))
"""


@pytest.mark.parametrize(("step", "size"), [("before", 12), ("after", 20)])
def test_killed_while_it_keeps_it_holds_the_old_or_the_new_and_goes_on(path: Path, log: MadeLog, step, size) -> None:
    first = Witness(path)
    first.desk.add_checkpoint(log.body(0))
    first.close()

    done = subprocess.run([sys.executable, "-c", KILLED, str(path), step], check=False, capture_output=True, timeout=60)

    second = Witness(path)
    log.grow(8)
    told = second.desk.add_checkpoint(log.body(0))
    answer = second.desk.add_checkpoint(log.body(int(told.content)))
    second.close()
    assert done.returncode == -9, done.stderr
    assert int(told.content) == size
    assert answer.status == HTTPStatus.OK
    assert not second.alarm.has_rung


def test_repeated_signatures_of_the_log_are_kept_once(witness: Witness, log: MadeLog) -> None:
    submission = log.submission(0)
    (first, *_) = submission.note.signatures
    more = submission.note.with_signatures(*[first] * (100 - len(submission.note.signatures)))

    outcome = witness.desk.consider(replace(submission, note=more))

    assert isinstance(outcome, Cosigned)
    assert len(parse_note(outcome.note).signatures) == 4


def test_new_witness_overwrites_nothing(path: Path, log: MadeLog) -> None:
    before = (path / "witness.key").read_bytes()

    with pytest.raises(WitnessError, match="nothing is overwritten"):
        new_witness(path, NAME, (), os.urandom)

    assert (path / "witness.key").read_bytes() == before


def test_name_that_can_name_no_key_makes_no_witness(tmp_path: Path) -> None:
    with pytest.raises(MalformedError):
        new_witness(tmp_path / "witness", "a b", (), os.urandom)

    assert not (tmp_path / "witness").exists()


def test_key_that_others_can_read_is_refused(path: Path) -> None:
    (path / "witness.key").chmod(0o644)

    with pytest.raises(WitnessError, match="chmod 600"):
        Witness(path)


def test_key_behind_a_link_is_refused(path: Path) -> None:
    (path / "witness.key").rename(path / "elsewhere.key")
    (path / "witness.key").symlink_to(path / "elsewhere.key")

    with pytest.raises(WitnessError, match="cannot be read"):
        Witness(path)


@pytest.mark.parametrize(
    "content",
    ["", "{}", "[]", "[" * 100_000, '{"format": 1, "name": "n", "seeds": {}}', '{"format": 1, "name": "a b", "seeds": {}}', '{"format": 1, "name": "n", "seeds": {"ed25519": "???"}}', '{"format": 1, "name": "n", "seeds": {"ed25519": "AAAA"}}'],
)  # fmt: skip
def test_damaged_key_file_is_refused_without_its_words(path: Path, content: str) -> None:
    (path / "witness.key").write_text(content)

    with pytest.raises(WitnessError, match="is damaged"):
        Witness(path)


@pytest.mark.parametrize("change", [{"format": 2}, {"more": 1}, {"name": "a b"}])
def test_key_file_of_another_form_is_refused(path: Path, change: dict[str, int | str]) -> None:
    key = path / "witness.key"
    key.write_text(json.dumps(json.loads(key.read_bytes()) | change))

    with pytest.raises(WitnessError, match="is damaged"):
        Witness(path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "names no log"),
        ("# nothing\n\n", "names no log"),
        ("log\n", "line 1"),
        (f"witness {MadeLog().known.keys[0]}\n", "line 1"),
        ("\nlog key url more\n", "line 2"),
        ("log not-a-key\n", "line 1"),
    ],
)
def test_file_of_logs_is_read_strictly(path: Path, content: str, told: str) -> None:
    (path / "logs").write_text(content)

    with pytest.raises(WitnessError, match=told):
        Witness(path)


def test_folder_that_is_none_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(WitnessError, match="keygen"):
        Witness(tmp_path)


def test_folder_that_is_another_user_s_alone_says_so(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_path: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_file", refused)
    with pytest.raises(WitnessError, match="cannot be looked into: permission denied: run this as its owner"):
        WitnessFolder(path).__enter__()
