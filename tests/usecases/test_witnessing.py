"""The log and its witnesses: asked, answered, lied to, set back; and who stands behind which checkpoint."""

import os
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from exchange.audit import TreeHead, parse_note
from exchange.audit.checkpoint import parse_checkpoint
from exchange.audit.log_policy import KnownWitness
from exchange.audit.witness import render_submission
from exchange.custody import create_log_key
from exchange.kernel import ConflictError, ForbiddenError, InvalidError, UnavailableError
from exchange.store import Store
from exchange.usecases import check_readiness, describe_caller
from exchange.usecases.log.ask_witness import AskedState, Cosignatures, Declined, HeldSize, Unreachable, ask_witness
from exchange.usecases.log.receive_cosignature import receive_cosignature
from exchange.usecases.log.sequence_log import Step
from exchange.usecases.log.watch_witnesses import BACKOFF_SECONDS, WitnessWatch
from exchange.usecases.log.witnessed_log import witnessed_outside
from tests.core.audit.signers import W1
from tests.support.witnessed_world import ORIGIN, DeskLine, MadeWitness, Watched
from tests.support.world import World

FORGED = b"\x07" * 32
FORMER = "exchange.example/log/6"


@pytest.mark.parametrize("key", [0, 1], ids=["ed25519", "ml-dsa-44"])
async def test_witness_cosigns_and_stands_behind_the_checkpoint(watched: Watched, key: int) -> None:
    await watched.enrol("nor", key=key)

    asked = await watched.ask("nor")

    view = await watched.view()
    assert asked.state is AskedState.COSIGNED
    assert [(each.name, each.size, each.behind) for each in view.witnesses] == [("nor", view.size, 0)]
    assert view.witnesses[0].cosigned_at == watched.world.clock.now
    assert view.has_quorum


async def test_what_is_cosigned_is_not_asked_for_again(watched: Watched) -> None:
    await watched.enrol("nor")
    await watched.ask("nor")
    watched.line.asked.clear()

    assert (await watched.ask("nor")).state is AskedState.NOTHING_NEW
    assert watched.line.asked == []


async def test_growth_is_proven_from_what_was_cosigned(watched: Watched) -> None:
    await watched.enrol("nor")
    await watched.ask("nor")
    kept = await watched.opened.grow()
    watched.line.asked.clear()

    asked = await watched.ask("nor")

    assert (asked.state, asked.size) == (AskedState.COSIGNED, kept.size)
    assert len(watched.line.asked) == 1


async def test_witness_that_saw_more_than_we_know_is_asked_from_there(watched: Watched) -> None:
    witness = await watched.enrol("nor")
    earlier = await watched.world.services.store.log.kept_checkpoint(1)
    assert earlier is not None
    # It came by itself once, and its cosignature got lost on its way back.
    assert witness.desk.add_checkpoint(render_submission(0, (), earlier.note)).status == 200
    await watched.opened.grow()

    asked = await watched.ask("nor")

    assert asked.state is AskedState.COSIGNED
    assert len(watched.line.asked) == 2


async def lost_answer(watched: Watched) -> MadeWitness:
    """Return a witness that cosigned the newest checkpoint, of which nothing came here."""
    witness = await watched.enrol("nor")
    await watched.ask("nor")
    watched.world.unguard("log_cosignature")
    watched.world.sql("DELETE FROM log_cosignature")
    return witness


async def test_witness_whose_answer_was_lost_is_asked_for_it_again(watched: Watched) -> None:
    await lost_answer(watched)

    assert (await watched.ask("nor")).state is AskedState.COSIGNED


async def test_witness_that_declines_the_very_tree_that_it_holds_is_told_of(watched: Watched) -> None:
    witness = await lost_answer(watched)
    watched.line.answers[witness.url] = [Declined(403, "not today")]

    asked = await watched.ask("nor")

    assert (asked.state, asked.told) == (AskedState.REFUSED, "403: not today")


async def set_back(watched: Watched) -> MadeWitness:
    """Return a witness that holds less than it cosigned, of a log that has grown since."""
    witness = await watched.enrol("nor")
    await watched.watch.round()
    backup = witness.folder.held(watched.opened.key.origin)
    assert backup is not None
    await watched.opened.grow()
    await watched.watch.round()
    witness.folder.keep(watched.opened.key.origin, backup)
    await watched.opened.grow()
    return witness


async def test_witness_set_back_learns_it_from_its_own_signature(watched: Watched) -> None:
    witness = await set_back(watched)

    await watched.watch.round()

    assert witness.alarm.has_rung
    assert (await watched.view()).witnesses[0].behind == 0
    (entry,) = await watched.entries("witness.forgot")
    assert (entry["object"]["id"], entry["decision"]) == ("nor", "failed")


async def test_witness_that_stays_set_back_is_told_of_once(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    witness = await set_back(watched)
    for _ in range(2):
        watched.line.answers[witness.url] = [HeldSize(1), *[Unreachable("gone")] * 2]
        await watched.watch.round()
        watched.seconds += BACKOFF_SECONDS[-1]

    assert len(await watched.entries("witness.forgot")) == 1
    assert caplog.text.count("its memory was set back") == 1
    assert caplog.text.count("does not answer: gone") == 1


async def test_witness_set_back_behind_what_is_kept_here_is_asked_from_what_it_holds(watched: Watched) -> None:
    """Its own signature is kept, and what that stands under is gone: it cannot be shown, and is no reason to stop."""
    witness = await set_back(watched)
    watched.world.unguard("log_checkpoint")
    watched.world.sql("DELETE FROM log_checkpoint WHERE size = (SELECT max(size) FROM log_cosignature)")

    asked = await watched.ask("nor")

    assert (asked.state, asked.has_forgotten) == (AskedState.COSIGNED, True)
    assert not witness.alarm.has_rung


async def test_before_the_log_began_no_witness_is_asked(populated: World) -> None:
    line = DeskLine()
    witness = KnownWitness("nor", W1.verifier, "https://witness.example/nor")

    assert (await ask_witness(populated.services, witness, line)).state is AskedState.NOTHING_NEW
    assert line.asked == []


async def test_dead_witness_is_asked_less_and_less_and_keeps_nobody_waiting(watched: Watched) -> None:
    await watched.enrol("nor")
    dead = await watched.enrol("dnk")
    del watched.line.desks[dead.url]
    times = []
    for _ in range(1000):
        watched.line.asked.clear()
        await watched.watch.round()
        if dead.url in watched.line.asked:
            times.append(watched.seconds)
        watched.seconds += 1

    pauses = [after - before for before, after in pairwise(times)]
    assert pauses[: len(BACKOFF_SECONDS) - 1] == list(BACKOFF_SECONDS[1:])
    assert set(pauses[len(BACKOFF_SECONDS) - 1 :]) == {BACKOFF_SECONDS[-1]}
    assert [each.behind for each in (await watched.view()).witnesses] == [0, (await watched.view()).size]
    assert await watched.entries("witness.refused") == []


async def test_witness_that_is_back_is_asked_at_once_for_the_next(watched: Watched) -> None:
    witness = await watched.enrol("nor")
    watched.line.answers[witness.url] = [Unreachable("away")]
    await watched.watch.round()
    await watched.watch.round()
    assert len(watched.line.asked) == 1
    watched.seconds += BACKOFF_SECONDS[1]

    await watched.watch.round()

    assert (await watched.view()).witnesses[0].behind == 0


REFUSALS = [
    [Declined(404, "no such log")],
    [Declined(403, "not signed")],
    [Declined(422, "bad proof")],
    [Declined(418, "")],
    [HeldSize(1), HeldSize(2), HeldSize(1), HeldSize(2)],
    [HeldSize(0)],
    [HeldSize(10**9)],
    [Cosignatures(b"")],
    [Cosignatures(b"\xff")],
    [Cosignatures(b"nonsense\n")],
    [Cosignatures("— witness.example/nor10 AAAAAAAA\n".encode())],
]


async def test_refusal_is_an_entry_once_and_freezes_nothing(watched: Watched, subtests: pytest.Subtests) -> None:
    """Each of many witnesses answers in a way of its own."""
    refusing = {await watched.enrol(f"nor{number}"): answers for number, answers in enumerate(REFUSALS)}
    for _ in range(3):
        watched.line.answers = {witness.url: list(answers) for witness, answers in refusing.items()}
        await watched.watch.round()
        await watched.opened.grow()
        watched.seconds += BACKOFF_SECONDS[-1]

    entries = await watched.entries("witness.refused")
    sizes = {each.name: each.size for each in (await watched.view()).witnesses}
    for witness, answers in refusing.items():
        with subtests.test(str(answers)):
            (entry,) = [each for each in entries if each["object"] == {"type": "witness", "id": witness.name}]
            assert entry["decision"] == "refused"
            assert entry["detail"]["told"]
            assert sizes[witness.name] is None
    assert len(entries) == len(refusing)
    assert await watched.opened.step() is Step.IDLE


async def test_refusal_is_on_the_record_once_the_log_can_be_written_again(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    witness = await watched.enrol("nor")
    with monkeypatch.context() as broken:
        broken.setattr(Store, "append", away)
        for _ in range(2):
            watched.line.answers[witness.url] = [Declined(422, "bad proof")]
            await watched.watch.round()
            watched.seconds += BACKOFF_SECONDS[-1]
    for _ in range(2):
        watched.line.answers[witness.url] = [Declined(422, "bad proof")]
        await watched.watch.round()
        watched.seconds += BACKOFF_SECONDS[-1]

    (entry,) = await watched.entries("witness.refused")
    assert entry["detail"]["told"] == "422: bad proof"


async def test_memory_that_was_set_back_is_on_the_record_though_it_shows_but_once(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    await set_back(watched)
    with monkeypatch.context() as broken:
        broken.setattr(Store, "append", away)
        await watched.watch.round()
    await watched.watch.round()

    assert len(await watched.entries("witness.forgot")) == 1


async def away(*_: object) -> None:
    raise UnavailableError("the log went away")


async def test_refusal_after_it_cosigned_again_is_an_entry_again(watched: Watched) -> None:
    witness = await watched.enrol("nor")
    for _ in range(2):
        watched.line.answers[witness.url] = [Declined(422, "bad proof")]
        await watched.watch.round()
        watched.seconds += BACKOFF_SECONDS[-1]
        await watched.watch.round()
        await watched.opened.grow()

    assert len(await watched.entries("witness.refused")) == 2


async def test_cosignature_of_another_key_under_its_name_is_none(watched: Watched) -> None:
    witness = await watched.enrol("nor")
    other = MadeWitness(watched.opened, "other")
    kept = await watched.world.services.store.log.kept_checkpoint(1)
    line = replace(other.signer, name=witness.signer.name).sign(parse_note(kept.note).text, 1)
    forged = replace(line, key_id=witness.signer.verifier.key_id)
    watched.line.answers[witness.url] = [Cosignatures(forged.line.encode())]

    asked = await watched.ask("nor")

    other.close()
    assert asked.state is AskedState.REFUSED
    assert await watched.world.services.store.log.cosignatures(1, kept.size) == []


@pytest.mark.parametrize("late", [timedelta(days=1), None])
async def test_cosignature_of_no_time_or_one_that_has_not_come_is_none(watched: Watched, late) -> None:
    witness = await watched.enrol("nor")
    kept = await watched.world.services.store.log.kept_checkpoint(1)
    at = 0 if late is None else int((watched.world.clock.now + late).timestamp())
    line = witness.signer.sign(parse_note(kept.note).text, at)
    watched.line.answers[witness.url] = [Cosignatures(line.line.encode())]

    assert (await watched.ask("nor")).state is AskedState.REFUSED


# ── a witness holds what the log does not ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("answer", [HeldSize(10**6), Declined(422, "inconsistent")])
@pytest.mark.parametrize("size", [10**6, 3])
async def test_another_tree_signed_by_our_own_keys_freezes_the_log(
    watched: Watched, answer, size: int, caplog: pytest.LogCaptureFixture
) -> None:
    witness = await watched.enrol("nor")
    await watched.ask("nor")
    held = watched.opened.signed(TreeHead(size, FORGED))
    await watched.opened.grow()
    watched.line.answers[witness.url] = [answer]
    watched.line.shows[witness.url] = held

    await watched.watch.round()

    (entry,) = await watched.entries("witness.refused")
    assert (entry["decision"], entry["detail"]["held_size"]) == ("failed", size)
    assert entry["detail"]["held_root"] == FORGED.hex()
    assert f"witness nor refuses: {entry['detail']['told']}" in caplog.text
    assert await watched.opened.step() is Step.FROZEN
    assert watched.opened.witnessed.contradiction() == held
    readiness = await check_readiness(watched.world.services)
    assert [check.name for check in readiness.checks if not check.is_working] == ["log"]


@pytest.mark.parametrize(
    "shown",
    [None, b"", b"nonsense", "stranger", "other origin"],
)
async def test_a_lying_witness_freezes_nothing(watched: Watched, shown) -> None:
    witness = await watched.enrol("nor")
    other = MadeWitness(watched.opened, "other")
    if shown == "stranger":
        # The origin is ours, the signature is not.
        text = parse_note(watched.opened.signed(TreeHead(10**6, FORGED))).text
        shown = replace(parse_note(watched.opened.signed(TreeHead(1, FORGED))), text=text).render()
    elif shown == "other origin":
        text = parse_note(watched.opened.signed(TreeHead(10**6, FORGED))).text.replace("log/7", "log/8")
        signers = watched.opened.key.signers
        shown = replace(parse_note(watched.opened.signed(TreeHead(1, FORGED))), text=text, signatures=tuple(each.sign(text, 1) for each in signers)).render()  # fmt: skip
    watched.line.answers[witness.url] = [HeldSize(10**6)]
    watched.line.shows[witness.url] = shown

    await watched.watch.round()

    other.close()
    assert watched.opened.witnessed.contradiction() is None
    assert await watched.opened.step() is Step.IDLE
    assert [entry["decision"] for entry in await watched.entries("witness.refused")] == ["refused"]


async def test_witness_ahead_with_a_checkpoint_of_ours_that_is_not_kept_is_no_refusal(watched: Watched) -> None:
    witness = await watched.enrol("nor")
    first = await watched.world.services.store.log.kept_checkpoint(1)
    await watched.watch.round()
    await watched.opened.grow()
    await describe_caller(watched.world.services, watched.world.call("GBR reader"))
    await watched.opened.step()
    state = await watched.opened.state()
    proof = await watched.world.services.store.log.consistency_proof(1, first.size, state.size)
    # It came by itself, and cosigned the newest there is.
    assert witness.desk.add_checkpoint(render_submission(first.size, proof, state.note)).status == 200

    asked = await watched.ask("nor")

    assert asked.state is AskedState.NOTHING_NEW
    await watched.opened.grow()
    assert (await watched.ask("nor")).state is AskedState.COSIGNED


# ── brought by a member ───────────────────────────────────────────────────────────────────────────────────────────


async def test_member_brings_its_cosignature(watched: Watched) -> None:
    witness = await watched.enrol("nor")
    kept = await watched.world.services.store.log.kept_checkpoint(1)

    received = await watched.bring(witness.cosigned(kept.note))
    again = await watched.bring(witness.cosigned(kept.note))

    assert (received.value.size, received.value.witnesses) == (kept.size, ("nor",))
    assert again.value == received.value
    entries = await watched.entries("cosignature.received")
    assert [(entry["decision"], entry["detail"]["witnesses"]) for entry in entries] == [("permitted", ["nor"])] * 2
    assert (await watched.view()).witnesses[0].size == kept.size


async def test_only_auditors_bring(watched: Watched) -> None:
    witness = await watched.enrol("nor")
    kept = await watched.world.services.store.log.kept_checkpoint(1)

    for who in ("NOR reader", "operator"):
        attempt = await watched.world.attempt(watched.bring(witness.cosigned(kept.note), who))
        assert isinstance(attempt.error, ForbiddenError)
        assert attempt.entry["decision"] == "refused"


async def test_only_enrolled_witnesses_count(watched: Watched) -> None:
    await watched.enrol("nor")
    stranger = MadeWitness(watched.opened, "stranger")
    kept = await watched.world.services.store.log.kept_checkpoint(1)

    attempt = await watched.world.attempt(watched.bring(stranger.cosigned(kept.note)))

    stranger.close()
    assert isinstance(attempt.error, InvalidError)
    assert attempt.entry["decision"] == "refused"
    assert await watched.world.services.store.log.cosignatures(1, kept.size) == []


async def test_spoilt_checkpoint_is_refused_and_freezes_nothing(watched: Watched, subtests: pytest.Subtests) -> None:
    witness = await watched.enrol("nor")
    kept = await watched.world.services.store.log.kept_checkpoint(1)
    note = parse_note(witness.cosigned(kept.note).encode())
    *rest, last = note.signatures
    wrong = replace(last, signature=last.signature[:9] + bytes(len(last.signature) - 9))
    first = replace(rest[0], signature=bytes(64))
    spoilt = {
        "text": replace(note, text=note.text.replace(f"\n{kept.size}\n", f"\n{kept.size + 10**6}\n")).render().decode(),
        "line": replace(note, signatures=(*rest, wrong)).render().decode(),
        "log line": replace(note, signatures=(first, *rest[1:], last)).render().decode(),
        "nothing of it": "no note",
    }
    for name, text in spoilt.items():
        attempt = await watched.world.attempt(watched.bring(text))

        with subtests.test(name):
            assert isinstance(attempt.error, InvalidError)
            assert [fault.pointer for fault in attempt.error.faults] == ["/checkpoint"]
            assert watched.opened.witnessed.contradiction() is None
            assert await watched.world.services.store.log.cosignatures(1, kept.size) == []


async def test_checkpoint_that_is_not_kept_is_a_conflict(watched: Watched) -> None:
    witness = await watched.enrol("nor")
    await describe_caller(watched.world.services, watched.world.call("GBR reader"))
    await watched.opened.step()
    state = await watched.opened.state()

    attempt = await watched.world.attempt(watched.bring(witness.cosigned(state.note)))

    assert isinstance(attempt.error, ConflictError)
    assert "not kept" in str(attempt.error)


@pytest.mark.parametrize("size", [10**6, 2])
async def test_member_that_brings_what_we_signed_and_do_not_have_freezes_the_log(watched: Watched, size: int) -> None:
    held = watched.opened.signed(TreeHead(size, FORGED)).decode()

    attempt = await watched.world.attempt(watched.bring(held))

    assert isinstance(attempt.error, ConflictError)
    assert (attempt.entry["type"], attempt.entry["decision"]) == ("witness.refused", "failed")
    assert attempt.entry["object"]["id"] == ORIGIN
    told = attempt.entry["detail"]
    assert (told["size"], told["held_size"], told["held_root"]) == (size, size, FORGED.hex())
    assert await watched.opened.step() is Step.FROZEN


async def test_what_contradicts_the_log_is_refused_and_recorded_where_no_file_keeps_it(watched: Watched) -> None:
    services = watched.world.services
    services = replace(services, witnessing=replace(services.witnessing, witnessed=None))
    held = watched.opened.signed(TreeHead(2, FORGED)).decode()
    attempt = await watched.world.attempt(receive_cosignature(services, watched.world.call("auditor"), held))

    assert isinstance(attempt.error, ConflictError)
    assert (attempt.entry["type"], attempt.entry["decision"]) == ("witness.refused", "failed")


async def test_newest_witnessed_tree_outlives_the_database(watched: Watched) -> None:
    file, witness = watched.opened.witnessed, await watched.enrol("nor")
    # Of the log before this one, which was longer.
    file.keep_newest(replace(watched.opened.key, origin=FORMER).sign(TreeHead(1_000_000, FORGED), 1))
    older = await watched.world.services.store.log.kept_checkpoint(1)
    await watched.ask("nor")
    kept = await watched.opened.grow()
    await watched.ask("nor")
    # What comes late takes nothing back.
    await watched.bring(witness.cosigned(older.note))

    note, asks = file.newest(), witnessed_outside(file)
    assert note is not None
    assert parse_note(note).text == parse_note(kept.note).text
    assert await asks(ORIGIN) == parse_checkpoint(parse_note(kept.note).text).head
    assert await asks(FORMER) is None


async def test_host_without_a_file_of_what_is_witnessed_counts_and_records_all_the_same(watched: Watched) -> None:
    witness = await watched.enrol("nor")
    services = watched.world.services
    watched.world.services = replace(services, witnessing=replace(services.witnessing, witnessed=None))
    watch = WitnessWatch(watched.world.services, watched.line, lambda: watched.seconds)
    await watch.round()
    assert (await watched.view()).witnesses[0].behind == 0
    await watched.opened.grow()
    watched.line.answers[witness.url] = [HeldSize(10**6)]
    watched.line.shows[witness.url] = watched.opened.signed(TreeHead(10**6, FORGED))
    await watch.round()

    (entry,) = await watched.entries("witness.refused")
    assert (entry["decision"], entry["detail"]["held_size"]) == ("failed", 10**6)


async def test_checkpoint_that_is_brought_before_there_is_a_log_is_none_of_its(populated: World) -> None:
    key = create_log_key(populated.folder / "log.key", ORIGIN, os.urandom)
    note = key.sign(TreeHead(3, FORGED), 1_780_000_000).decode()
    made = await populated.attempt(receive_cosignature(populated.services, populated.call("auditor"), note))

    assert isinstance(made.error, InvalidError)
    assert [fault.message for fault in made.error.faults] == ["this log has not signed it"]
