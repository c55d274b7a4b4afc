"""Steps of the demo over an exchange that is broken in one way: each has to see it."""

import json
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import httpx2
import pytest

from exchange.agreements import SignatoryKey, SignedText, TextSignature, TreatyText, sign_text
from exchange.cli.demo import auditing, cast, convicting, exchanging, refusing
from exchange.cli.demo import stage as demo_stage
from exchange.cli.demo.agreements import cast as tour
from exchange.cli.demo.agreements import negotiating, releasing, reporting
from exchange.cli.demo.refusing import Answer
from exchange.cli.demo.script import Script, StepFailedError
from exchange.cli.demo.server import check_server
from exchange.client import ConnectionFailedError, ProblemError
from exchange.client.log_folder import write_log
from exchange.crypto import ObjectSigningKey
from exchange.kernel import UnavailableError
from exchange.wire import AgreementEvidenceBody
from tests.core.agreements.worlds import example_json
from tests.core.audit.verify.worlds import world

AGREEMENT, ENTRY = (f"01980000-0000-7000-8000-00000000000{digit}" for digit in "12")
AT = datetime(2026, 1, 31, 12, tzinfo=UTC)
TEXT = TreatyText(AGREEMENT, 1, None, example_json())
URL = "https://127.0.0.1:1"


class StoppedError(StepFailedError):
    """What a step asks for behind the one under test."""


def key_of(seed):
    return ObjectSigningKey.new(lambda count: bytes([seed]) * count)


def stage_of(client):
    """Return a stage on which everybody has the same client."""

    @contextmanager
    def connect(_player):
        yield client

    script = Script(is_quiet=True)
    given = {"names": {}, "reports": ["r"], "inputs": {}, "agreement": AGREEMENT, "began_on": AT.date()}
    return SimpleNamespace(script=script, connect=connect, **given)


def outcome(stage, name):
    (step,) = [step for step in stage.script.steps if step.name == name]
    return step.is_right


@pytest.mark.parametrize(("answers", "is_right"), [(False, True), (True, False)])
def test_server_that_answers_without_a_certificate_is_wrong(monkeypatch, answers, is_right):
    def get(*_, **__):
        if answers:
            return httpx2.Response(401)
        raise httpx2.ReadError("tlsv13 alert certificate required")

    monkeypatch.setattr("exchange.cli.demo.server.httpx2.get", get)
    script = Script(is_quiet=True)
    check_server(SimpleNamespace(script=script, url=URL))

    assert [(step.name, step.is_right) for step in script.steps] == [("the server starts", is_right)]


def evidence_of(keys):
    """Return evidence of a text that GBR, NOR and DNK signed with these keys."""
    signatures, enrolled = [], []
    for at, (member, key) in enumerate(zip(cast.PARTIES, keys, strict=True)):
        client = f"01980000-0000-7000-8000-00000000001{at}"
        made = sign_text(TEXT, key, member=member, signatory=client)
        signatures.append(TextSignature(TEXT.digest, member, client, key.verifying_key, made, AT))
        enrolled.append(SignatoryKey(key.verifying_key, client, member, AT, None, ENTRY))
    return AgreementEvidenceBody.of(AGREEMENT, [SignedText(TEXT, TEXT.digest, tuple(signatures))], enrolled)


def test_signature_with_another_key_than_the_party_s_own_is_seen():
    own = {player.name: key_of(at) for at, player in enumerate((cast.GBR, cast.NOR, cast.DNK))}
    first, second, third = own.values()

    assert exchanging._is_signed(evidence_of([first, second, third]), own)
    assert not exchanging._is_signed(evidence_of([first, second, key_of(9)]), own)
    assert not exchanging._is_signed(AgreementEvidenceBody.of(AGREEMENT, [], []), own)


@pytest.mark.parametrize(
    ("shown", "absent", "is_absent"), [(404, 404, True), (200, 404, False), (403, 403, False), (404, 400, False)]
)
def test_agreement_that_a_stranger_is_shown_by_its_id_is_seen(monkeypatch, shown, absent, is_absent):
    def ask(_stage, _who, path):
        status = shown if path.endswith(AGREEMENT) else absent
        return Answer(status, "", "r", (status,))

    monkeypatch.setattr(refusing, "ask", ask)
    stage = SimpleNamespace(names={})

    path = f"/v1/agreements/{AGREEMENT}"
    assert refusing.is_as_if_absent(stage, cast.ESP, path, AGREEMENT) is is_absent


@pytest.mark.parametrize(
    ("before", "state", "after", "right"),
    [
        ([], "draft", [AGREEMENT], (True, True)),
        ([AGREEMENT], "draft", [AGREEMENT], (False, True)),
        ([], "in_force", [AGREEMENT], (True, False)),
        ([], "draft", [], (True, False)),
    ],
)
def test_draft_that_was_kept_and_text_that_binds_unsigned_are_seen(monkeypatch, before, state, after, right):
    seen = iter([before, before, after])

    def stop(*_):
        raise StoppedError("behind it")

    monkeypatch.setattr(negotiating, "_sign", stop)
    stage = stage_of(
        SimpleNamespace(
            simulate_agreement=lambda _: SimpleNamespace(lines=[1], own=[1]),
            propose_agreement=lambda _: SimpleNamespace(id=AGREEMENT, title="t", state=state),
            agreements=lambda: [SimpleNamespace(id=each) for each in next(seen)],
        )
    )
    with pytest.raises(StoppedError):
        negotiating.negotiate(stage)

    names = ("Britain sees what its draft would do before anybody else does", "Britain proposes the text")
    assert tuple(outcome(stage, name) for name in names) == right


def test_texts_of_one_tour_begin_on_one_day_though_midnight_comes_between(monkeypatch):
    """The first day of an agreement that was proposed is no amendment's to change: the tour ended red at midnight."""
    texts = []

    def proposed(*given):
        texts.append(json.loads(given[-1]))
        raise StoppedError("behind it")

    monkeypatch.setattr(negotiating, "post", lambda *_, **_named: "r")
    stage = stage_of(SimpleNamespace(simulate_agreement=proposed, amend_agreement=proposed))
    stage.began_on = date(2026, 1, 31)
    for act in (negotiating.negotiate, negotiating.amend):
        with pytest.raises(StoppedError):
            act(stage)

    assert [text["validity"]["from"] for text in texts] == ["2026-01-31", "2026-01-31"]


@pytest.mark.parametrize("asked_on", [31, 1])
def test_who_read_before_midnight_is_found_after_it(monkeypatch, asked_on):
    asked = datetime(2026, 1 if asked_on == 31 else 2, asked_on, 0, 1, tzinfo=UTC)
    monkeypatch.setattr(demo_stage, "system_clock", lambda: asked)
    could = [SimpleNamespace(member=member) for member in ("GBR", "NOR")]

    def readers_on(_report, on):
        return SimpleNamespace(could=could, did=could[1:] if on == "2026-01-31" else [])

    script = Script(is_quiet=True)
    stage = demo_stage.Stage(Path(), {}, script, reports=["r"], began_on=date(2026, 1, 31))
    auditing._see_who_could_read(stage, SimpleNamespace(readers_on=readers_on))

    assert outcome(stage, "and who could have read it today, and who did")


@pytest.mark.parametrize(
    ("marking", "originator", "is_right"),
    [(tour.MARKING, "GBR", True), (tour.WIDE_MARKING, "GBR", False), (tour.MARKING, "NOR", False)],
)
def test_report_under_another_marking_or_name_is_seen(monkeypatch, marking, originator, is_right):
    header = SimpleNamespace(id="x", marking=marking, originator=originator)
    monkeypatch.setattr(exchanging, "post_inputs", lambda *_: header)
    stage = stage_of(SimpleNamespace())

    assert reporting.post(stage, tour.GBR_DESK, tour.MARKING) == "x"
    assert outcome(stage, "GBR posts report no. 2") is is_right


@pytest.mark.parametrize(
    ("hidden", "state", "is_right"),
    [((True, True), "asked", True), ((True, False), "asked", False), ((True, True), "granted", False)],
)
def test_request_that_releases_by_itself_is_seen(monkeypatch, hidden, state, is_right):
    looks = iter(hidden)
    monkeypatch.setattr(releasing, "is_hidden", lambda *_: next(looks))

    def grant(*_):
        raise UnavailableError("behind it")

    asked = SimpleNamespace(id="x", state=state)
    stage = stage_of(SimpleNamespace(onward=SimpleNamespace(request=lambda *_: asked, grant=grant)))
    with pytest.raises(StepFailedError):
        releasing.release_onward(stage)

    assert outcome(stage, "Norway asks on behalf of Spain") is is_right


@pytest.mark.parametrize("signed", [True, False])
def test_log_of_which_no_node_signed_anything_is_seen(monkeypatch, tmp_path, signed):
    """Of entries younger than two minutes the verifier takes it that their node may still sign: all of a demo's are."""

    def run_apart(_desk, _group, verb, *words):
        if verb == "tiles":
            write_log(world(60, 20), Path(words[words.index("--out") + 1]))
        return 0, {"sound": True, "size": 60, "entries": 60, "root": "00"}

    monkeypatch.setattr(convicting, "run_apart", run_apart)
    monkeypatch.setattr(convicting, "_keys_on", lambda *_: ())
    monkeypatch.setattr(convicting, "bears_signature", lambda _: signed)
    stage = SimpleNamespace(script=Script(is_quiet=True), folder=tmp_path)
    convicting.verify_apart(stage)

    (step,) = stage.script.steps
    assert step.is_right is signed
    assert ("every node's own signature" if signed else "no node signed for anything of boot") in step.found


@pytest.mark.parametrize(
    ("answer", "is_right"),
    [
        (ConnectionFailedError("alert unknown ca"), True),
        (ProblemError(status=401, code="not-authenticated", detail="no"), False),
        (None, False),
    ],
)
def test_foreign_authority_that_is_answered_is_seen_in_its_own_step(monkeypatch, answer, is_right):
    @contextmanager
    def at(_endpoint):
        yield SimpleNamespace(whoami=Mock(side_effect=answer))

    monkeypatch.setattr(refusing, "ExchangeClient", SimpleNamespace(at=at))
    monkeypatch.setattr(refusing, "ask", lambda *_: Answer(401, "not-authenticated", "r", ()))
    stage = SimpleNamespace(script=Script(is_quiet=True), endpoint=lambda *_: None, reports=["r"], refused=[])
    refusing.refuse_strangers(stage)

    assert outcome(stage, "a certificate that nobody enrolled")
    assert outcome(stage, "a certificate of a foreign authority") is is_right
