"""A witness that goes to the log by itself: one round at a time, and what it brings back."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest

from exchange.audit import Checkpoint, SignedNote, TreeHead, parse_checkpoint, parse_note, verify_note
from exchange.audit.strict_text import base64_text
from exchange.client import AnswerError, ConnectionFailedError, ProblemError
from exchange.client.witness.__main__ import main
from exchange.client.witness.exchange_log import ExchangeLog
from exchange.client.witness.rounds import RoundResult, one_round
from tests.support.shown_log import MadeLog
from tests.support.witness import Witness, witnessing


@dataclass
class Shown:
    """A log as the exchange shows it, honest or not, and what was brought to it."""

    log: MadeLog
    size: int | None = None
    failure: Exception | None = None
    proofs: MadeLog | None = None
    brought: list[bytes] = field(default_factory=list)
    refuses: bool = False
    asked: list[tuple[int, int]] = field(default_factory=list)

    def checkpoint(self) -> bytes:
        return self.log.note(self.size).render()

    def consistency(self, old_size: int, new_size: int) -> tuple[bytes, ...]:
        self.asked.append((old_size, new_size))
        if self.failure is not None:
            raise self.failure
        return (self.proofs or self.log).proof(old_size, new_size)

    def bring(self, note: bytes) -> None:
        if self.refuses:
            raise ProblemError(status=409, code="conflict", detail="no")
        self.brought.append(note)


@pytest.fixture
def log() -> MadeLog:
    return MadeLog().grow(12)


@pytest.fixture
def witness(tmp_path: Path, log: MadeLog):
    with witnessing(tmp_path / "witness", log) as witness:
        yield witness


def test_round_after_round_is_cosigned_and_brought(witness: Witness, log: MadeLog) -> None:
    shown = Shown(log)
    results = [one_round(witness.desk, shown)]
    log.grow(9)
    results += [one_round(witness.desk, shown), one_round(witness.desk, shown)]

    assert [(each.size, each.is_cosigned, each.is_brought) for each in results] == [
        (12, True, True),
        (21, True, True),
        (21, True, True),
    ]
    brought = [parse_note(note) for note in shown.brought]
    assert [parse_checkpoint(note.text).size for note in brought] == [12, 21, 21]
    assert all(verify_note(note, witness.keys.verifiers) for note in brought)
    assert not witness.alarm.has_rung


def test_proof_is_asked_for_only_where_something_grew_from_something(witness: Witness, log: MadeLog) -> None:
    shown = Shown(log)
    one_round(witness.desk, shown)
    one_round(witness.desk, shown)
    log.grow(9)
    one_round(witness.desk, shown)

    assert shown.asked == [(12, 21)]


def test_round_may_keep_the_cosignature_at_home(witness: Witness, log: MadeLog) -> None:
    shown = Shown(log)

    result = one_round(witness.desk, shown, brings=False)

    assert (result.is_cosigned, result.is_brought, shown.brought) == (True, False, [])
    assert witness.held(log).size == 12


def test_round_that_keeps_its_cosignature_at_home_keeps_what_it_signed_before_there_too(
    witness: Witness, log: MadeLog
) -> None:
    one_round(witness.desk, Shown(log))
    shown = rolled_back(log)

    result = one_round(witness.desk, shown, brings=False)

    assert (result.is_cosigned, result.is_brought, shown.brought) == (False, False, [])
    assert witness.alarm.has_rung


def rolled_back(log: MadeLog) -> Shown:
    return Shown(log, size=5)


def forked(log: MadeLog) -> Shown:
    return Shown(log.cut(5).grow(7, "forged"))


def tail_rewritten(log: MadeLog) -> Shown:
    return Shown(log.cut(5).grow(20, "forged"))


def without_proof(log: MadeLog, status: int = 404) -> Shown:
    refusal = ProblemError(status=status, code="no", detail="no")
    return Shown(log.cut(12).grow(3), failure=refusal)


def key_swapped(log: MadeLog) -> Shown:
    return Shown(MadeLog(seed="swapped", leaves=log.leaves).grow(1), proofs=log)


def other_origin(log: MadeLog) -> Shown:
    return Shown(MadeLog("other.example/log", log.leaves).grow(1))


@pytest.mark.parametrize(
    ("attack", "word", "is_brought"),
    [
        (rolled_back, "rolled-back", True),
        (forked, "forked", True),
        (tail_rewritten, "unproven", True),
        (without_proof, "unproven", True),
        (key_swapped, "not-signed", False),
        (other_origin, "unknown-log", False),
    ],
)
def test_attack_is_refused_shouted_and_shown_what_was_signed_before(witness, log, attack, word, is_brought) -> None:
    one_round(witness.desk, Shown(log))
    held = witness.desk.note_of(log.origin)
    shown = attack(log.cut(12))

    result = one_round(witness.desk, shown)

    assert (result.is_cosigned, result.is_brought) == (False, is_brought)
    assert (result.origin, result.size) == (shown.log.origin, shown.log.head(shown.size).size)
    assert shown.brought == ([held] if is_brought else [])
    assert witness.alarm.has_rung
    assert any(word in evidence.name for evidence in witness.evidence())
    assert witness.held(log) == log.head(12)


@pytest.mark.parametrize("status", [400, 409, 422])
def test_log_that_refuses_its_proof_in_other_words_has_none_either(witness: Witness, log: MadeLog, status: int) -> None:
    one_round(witness.desk, Shown(log))

    assert not one_round(witness.desk, without_proof(log, status)).is_cosigned
    assert "unproven" in witness.evidence()[0].name


def test_exchange_that_does_not_want_to_know_is_shouted_all_the_same(witness: Witness, log: MadeLog) -> None:
    one_round(witness.desk, Shown(log))
    shown = rolled_back(log)
    shown.refuses = True

    assert one_round(witness.desk, shown).is_brought is False
    assert witness.alarm.has_rung


def test_contradiction_without_anything_held_has_nothing_to_bring(witness: Witness, log: MadeLog, monkeypatch) -> None:
    shown, text = Shown(log), Checkpoint(log.origin, TreeHead(0, b"\x01" * 32)).text
    note = SignedNote(text, tuple(each.sign(text, 1) for each in log.signers))
    monkeypatch.setattr(shown, "checkpoint", note.render)

    result = one_round(witness.desk, shown)

    assert (result.is_cosigned, result.is_brought, shown.brought) == (False, False, [])
    assert "forked" in witness.evidence()[0].name


def test_log_without_an_entry_is_cosigned(witness: Witness, log: MadeLog) -> None:
    assert one_round(witness.desk, Shown(log, size=0)).is_cosigned


def test_exchange_that_is_away_is_no_alarm(witness: Witness, log: MadeLog) -> None:
    one_round(witness.desk, Shown(log))
    away = Shown(log.cut(12).grow(3), failure=ProblemError(status=503, code="unavailable", detail="away"))

    with pytest.raises(ProblemError, match="away"):
        one_round(witness.desk, away)
    assert not witness.alarm.has_rung


@pytest.mark.parametrize("content", [b"", b"<html>", b"{}", b"a\nb\n\n\xe2\x80\x94 x AAAAAAA=\n"])
def test_what_is_no_checkpoint_is_said(witness: Witness, log: MadeLog, content: bytes, monkeypatch) -> None:
    shown = Shown(log)
    monkeypatch.setattr(shown, "checkpoint", lambda: content)

    with pytest.raises(AnswerError, match="no checkpoint"):
        one_round(witness.desk, shown)


@pytest.fixture
def exchange_log(line):
    """Return a function: handler -> the exchange's log behind it, and what was sent."""

    def make(handler):
        made = line(handler)
        log = ExchangeLog(made.endpoint)
        log._transport.close()
        log._transport = made.client._transport
        return log, made.sent

    return make


def test_connection_asks_for_kept_checkpoints_and_brings_json(exchange_log, log: MadeLog) -> None:
    proof = [base64_text(each) for each in log.proof(5)]

    def answer(request: httpx2.Request) -> httpx2.Response:
        match request.url.path:
            case "/v1/audit/checkpoint":
                return httpx2.Response(200, content=log.note().render())
            case "/v1/audit/consistency":
                return httpx2.Response(200, json={"old_size": 5, "new_size": 12, "proof": proof})
            case _:
                return httpx2.Response(201, json={})

    connection, sent = exchange_log(answer)
    with connection:
        note = connection.checkpoint()
        found = connection.consistency(5, 12)
        connection.bring(note)

    assert found == log.proof(5)
    assert [str(request.url.query, "ascii") for request in sent] == ["kept=true", "from=5&to=12", ""]
    assert json.loads(sent[-1].content) == {"checkpoint": note.decode()}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b'{"old_size": 1, "new_size": 2, "proof": 1}',
        b'{"old_size": 1, "new_size": 2, "proof": ["AAAA"]}',
    ],
)
def test_proof_that_is_none_is_said(exchange_log, content: bytes) -> None:
    connection, _ = exchange_log(lambda _request: httpx2.Response(200, content=content))

    with pytest.raises(AnswerError, match="consistency proof"):
        connection.consistency(1, 2)


def test_exchange_that_is_not_there_is_said(exchange_log) -> None:
    def away(_request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("connection refused")

    connection, _ = exchange_log(away)

    with pytest.raises(ConnectionFailedError):
        connection.checkpoint()


def test_what_an_exchange_says_steers_no_terminal_of_its_witness(monkeypatch, capsys) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ProblemError(status=403, code="no", detail="\x1b[2J\u009b2J\u202e")

    monkeypatch.setattr("exchange.client.witness.__main__.run_once", refuse)
    words = ["once", "--state", "s", "--url", "https://x", "--cert", "c", "--key", "k", "--ca", "a"]

    assert main(words) == 1
    assert capsys.readouterr().err == "error: \\u001b[2J\\u009b2J\\u202e (`no`, 403)\n"


def test_what_a_log_calls_itself_steers_no_terminal_of_its_witness(monkeypatch, capsys) -> None:
    result = RoundResult("\u009b2J", 3, is_cosigned=False, is_brought=False, told="no")
    monkeypatch.setattr("exchange.client.witness.__main__.run_once", lambda *_, **__: result)
    words = ["once", "--state", "s", "--url", "https://x", "--cert", "c", "--key", "k", "--ca", "a"]

    assert main(words) == 1
    assert capsys.readouterr().out == "\\u009b2J 3 no\n"
