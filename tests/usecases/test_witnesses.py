"""Witnesses enrolled and removed, the quorum they make, and who sees them."""

import asyncio
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert

from exchange.audit.log_policy import KnownWitness
from exchange.kernel import EPOCH, ConflictError, ForbiddenError, InvalidError, NotFoundError, UnavailableError
from exchange.store.database.engine import checked_url, new_engine
from exchange.store.log.witness_files import NO_WITNESSES
from exchange.store.rows.log_rows import CosignatureRow
from exchange.store.tables.log_tables import LogCosignatureTable
from exchange.usecases import Services, check_readiness
from exchange.usecases.log.ask_witness import Asked, AskedState, WitnessLine
from exchange.usecases.log.quorum import Witnessed, newest_witnessed, require_quorum
from exchange.usecases.log.read_log import WhichCheckpoint, read_checkpoint
from exchange.usecases.log.witnesses import add_witness, remove_witness, set_quorum, show_witnesses
from tests.core.audit.signers import W1
from tests.support.meanwhile import at_once
from tests.support.placing import place_entries
from tests.support.witnessed_world import MadeWitness, Watched
from tests.support.world import Attempt, World

FORGED = b"\x07" * 32


async def test_quorum_of_k_and_since_when_it_is_missing(watched: Watched) -> None:
    for name in ("nor", "gbr", "dnk"):
        await watched.enrol(name)
    await set_quorum(watched.world.services, watched.world.call(None), 2)
    await watched.opened.keep()
    await watched.ask("nor")
    alone = await watched.view()
    await watched.ask("gbr")
    together = await watched.view()
    kept = await watched.opened.grow()
    await watched.ask("dnk")
    later = await watched.view()

    assert (alone.quorum, alone.has_quorum, alone.witnessed_size) == ("2 of 3", False, None)
    assert together.has_quorum
    assert together.since is None
    assert together.witnessed_size == together.size
    assert (later.has_quorum, later.witnessed_size, later.size) == (False, together.size, kept.size)
    assert later.since is not None


async def test_not_ready_while_the_quorum_is_missing_longer_than_allowed(watched: Watched) -> None:
    await watched.enrol("nor")
    await set_quorum(watched.world.services, watched.world.call(None), 1)
    await watched.opened.keep()
    witnessing = replace(watched.world.services.witnessing, quorum_seconds=60)
    services = replace(watched.world.services, witnessing=witnessing)

    async def broken() -> list[str]:
        return [check.name for check in (await check_readiness(services)).checks if not check.is_working]

    await watched.ask("nor")
    fresh = await broken()
    await watched.opened.grow()
    at_first = await broken()
    watched.world.clock.advance(timedelta(seconds=120))
    at_last = await broken()
    await watched.ask("nor")

    assert (fresh, at_first, at_last, await broken()) == ([], [], ["witnesses"], [])
    # A quorum of nobody is always there.
    watched.policy.path.unlink()
    assert await broken() == ["witnesses"]


async def test_quorum_is_missed_though_the_checkpoint_is_dated_in_the_future(watched: Watched) -> None:
    """A clock was ahead once: the log's time stands still there, and another node's clock is right."""
    await watched.enrol("nor")
    await set_quorum(watched.world.services, watched.world.call(None), 1)
    right = watched.world.clock.now
    watched.world.clock.advance(timedelta(hours=5))
    await watched.opened.grow()
    await watched.ask("nor")
    await watched.opened.grow()
    watched.world.clock.now = right
    witnessing = replace(watched.world.services.witnessing, quorum_seconds=60)
    services = replace(watched.world.services, witnessing=witnessing)

    async def broken() -> list[str]:
        return [check.finding for check in (await check_readiness(services)).checks if not check.is_working]

    at_first = await broken()
    watched.world.clock.advance(timedelta(seconds=61))
    await watched.opened.grow()
    at_last = await broken()
    view = await watched.view()
    await watched.ask("nor")

    assert (at_first, at_last) == ([], ["checkpoints stand without the quorum of witnesses for 72 seconds"])
    assert view.since is not None
    assert view.since <= watched.world.clock.now
    assert await broken() == []


async def test_line_changed_in_the_database_counts_nothing(watched: Watched) -> None:
    await watched.enrol("nor")
    await set_quorum(watched.world.services, watched.world.call(None), 1)
    kept = await watched.opened.keep()
    witness = watched.made["nor"]
    wrong = replace(witness.signer.sign("a\n1\n" + "A" * 43 + "=\n", 1_780_000_000)).line
    row = CosignatureRow(1, kept.size, witness.signer.name, wrong, 1)
    await watched.world.services.store.add_cosignature(row)

    view = await watched.view()

    assert (view.has_quorum, view.witnesses[0].size) == (False, None)


async def test_line_that_is_none_is_left_out_of_what_is_shown_where_nobody_is_waited_for(watched: Watched) -> None:
    for name in ("nor", "gbr"):
        await watched.enrol(name)
    kept, services = await watched.opened.keep(), watched.world.services
    none = CosignatureRow(1, kept.size, watched.made["nor"].signer.name, "no line", 1)
    await services.store.add_cosignature(none)
    await watched.ask("gbr")

    shown = await newest_witnessed(services, await watched.opened.state(), watched.policy.read())

    assert (shown.size, shown.since) == (kept.size, None)
    assert shown.note is not None
    assert watched.made["gbr"].signer.name in shown.note.render().decode()


async def test_same_cosignature_twice_at_once_is_kept_once(watched: Watched) -> None:
    """The second one, as brought by a member while the witness is asked, was answered as a conflict."""
    kept, store = await watched.opened.keep(), watched.world.services.store
    first = CosignatureRow(1, kept.size, "witness.example", "first", 1)
    columns, engine = asdict(first), new_engine(checked_url(watched.world.url), wait_seconds=5)
    async with engine.begin() as connection:
        await connection.execute(insert(LogCosignatureTable), columns)
        second = asyncio.create_task(store.add_cosignature(replace(first, line="second")))
        await asyncio.wait([second], timeout=0.3)
    await second
    await engine.dispose()

    assert watched.world.sql("SELECT line FROM log_cosignature WHERE size = $1", kept.size) == [("first",)]
    with pytest.raises(ConflictError):
        await store.add_cosignature(replace(first, size=kept.size + 1))


@pytest.mark.parametrize("line", ["junk", "— nor AAAA", "wrong"])
async def test_line_changed_in_the_database_is_told_and_takes_nothing_from_the_others(
    watched: Watched, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("nor", "gbr"):
        await watched.enrol(name)
    await set_quorum(watched.world.services, watched.world.call(None), 1)
    kept = await watched.opened.keep()
    witness = watched.made["nor"]
    if line == "wrong":
        line = witness.signer.sign("a\n1\n" + "A" * 43 + "=\n", 1_780_000_000).line
    await watched.world.services.store.add_cosignature(CosignatureRow(1, kept.size, witness.signer.name, line, 1))
    await watched.ask("gbr")

    view = await watched.view()
    shown = await newest_witnessed(watched.world.services, await watched.opened.state(), watched.policy.read())

    assert view.has_quorum
    assert {each.name: each.size for each in view.witnesses} == {"nor": None, "gbr": kept.size}
    assert shown.note is not None
    assert watched.made["gbr"].signer.name in shown.note.render().decode()
    assert line not in shown.note.render().decode()
    assert f"cosignatures of the checkpoint of size {kept.size} are not what came: " in caplog.text


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize("value", ["x'7bff'", "CAST(x'7bff' AS TEXT)", "7"])
@pytest.mark.parametrize("column", ["log_cosignature.line", "log_checkpoint.note", "log_checkpoint.signed_at"])
async def test_what_is_of_another_kind_in_the_database_takes_nothing_from_the_others(
    watched: Watched, column: str, value: str
) -> None:
    for name in ("nor", "gbr"):
        await watched.enrol(name)
    await set_quorum(watched.world.services, watched.world.call(None), 1)
    await watched.opened.keep()
    await watched.ask("nor")
    kept = await watched.opened.grow()
    await watched.ask("gbr")
    rows, _, name = column.partition(".")
    watched.world.unguard(rows)
    watched.world.sql(f"UPDATE {rows} SET {name} = {value} WHERE size < {kept.size}")

    view = await watched.view()
    read = await read_checkpoint(watched.world.services, watched.world.call("auditor"), WhichCheckpoint.WITNESSED)

    assert {each.name: each.size for each in view.witnesses}["gbr"] == kept.size
    assert view.has_quorum
    assert watched.made["gbr"].signer.name in read.value.decode()
    # Where no quorum is looked for behind it, the first that lacks it is told of.
    await set_quorum(watched.world.services, watched.world.call(None), 2)
    assert (await watched.view()).since is not None


async def test_time_of_a_checkpoint_that_was_altered_to_none_hides_no_witness(watched: Watched) -> None:
    await watched.enrol("nor")
    await set_quorum(watched.world.services, watched.world.call(None), 1)
    watched.world.unguard("log_checkpoint")
    watched.world.sql(f"UPDATE log_checkpoint SET signed_at = {-(2**63)}")
    alone = await watched.view()
    await watched.ask("nor")

    assert (alone.has_quorum, alone.since) == (False, EPOCH)
    assert (await watched.view()).has_quorum


@pytest.mark.parametrize(("page", "pages"), [(2, 4), (3, 3), (500, 1)])
async def test_quorum_is_found_behind_checkpoints_that_lack_it(
    watched: Watched, page: int, pages: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exchange.usecases.log.quorum._PAGE", page)
    monkeypatch.setattr("exchange.usecases.log.quorum._MOST_PAGES", pages)
    for name in ("nor", "gbr"):
        await watched.enrol(name)
    await set_quorum(watched.world.services, watched.world.call(None), 2)
    kept = await watched.opened.keep()
    await watched.ask("nor")
    await watched.ask("gbr")
    for _ in range(3):
        await watched.opened.grow()
        await watched.ask("nor")

    found = await newest_witnessed(watched.world.services, await watched.opened.state(), watched.policy.read())

    assert found.size == kept.size


async def test_quorum_that_lies_too_far_behind_is_none(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much one witness alone says, the search for a quorum ends, and what it did not reach is none."""
    monkeypatch.setattr("exchange.usecases.log.quorum._PAGE", 2)
    monkeypatch.setattr("exchange.usecases.log.quorum._MOST_PAGES", 1)
    for name in ("nor", "gbr"):
        await watched.enrol(name)
    await set_quorum(watched.world.services, watched.world.call(None), 2)
    for names in (("nor", "gbr"), ("nor",), ("nor",)):
        await watched.opened.grow()
        for name in names:
            await watched.ask(name)
    view = await watched.view()

    assert (view.has_quorum, view.witnessed_size) == (False, None)
    assert view.since is not None


async def test_changes_are_entries_with_what_holds_then(watched: Watched) -> None:
    await watched.enrol("nor")
    await watched.enrol("gbr")
    call = watched.world.call(None)
    await set_quorum(watched.world.services, call, 1)
    await remove_witness(watched.world.services, call, "gbr")

    (added, _), (removed,) = await watched.entries("witness.added"), await watched.entries("witness.removed")
    (quorum,) = await watched.entries("witness.quorum_set")
    assert added["detail"]["key_ids"] == [watched.made["nor"].signer.verifier.key_id.hex()]
    assert (quorum["detail"]["quorum"], quorum["detail"]["witnesses"]) == ("1 of 2", ["nor", "gbr"])
    assert (removed["detail"]["quorum"], removed["detail"]["witnesses"]) == ("1 of 1", ["nor"])
    assert {entry["actor"]["kind"] for entry in (added, removed, quorum)} == {"host"}
    assert [entry["object"]["id"] for entry in (added, removed, quorum)] == ["nor", "gbr", "enrolled"]


async def test_new_witness_counts_for_the_quorum(watched: Watched) -> None:
    await watched.enrol("nor")
    await set_quorum(watched.world.services, watched.world.call(None), 1)
    await watched.enrol("gbr")

    assert (await watched.view()).quorum == "1 of 2"
    await set_quorum(watched.world.services, watched.world.call(None), 0)
    assert (await watched.view()).quorum == "none"
    for name in ("nor", "gbr"):
        await remove_witness(watched.world.services, watched.world.call(None), name)


async def test_quorum_is_not_made_impossible(watched: Watched) -> None:
    await watched.enrol("nor")
    await set_quorum(watched.world.services, watched.world.call(None), 1)

    with pytest.raises(ConflictError):
        await remove_witness(watched.world.services, watched.world.call(None), "nor")
    for threshold in (2, -1):
        with pytest.raises(InvalidError):
            await set_quorum(watched.world.services, watched.world.call(None), threshold)


async def test_rules_of_their_own_are_left_alone(watched: Watched) -> None:
    await watched.enrol("nor")
    policy = watched.policy
    await watched.enrol("dnk")
    groups = b"group both all nor dnk\ngroup north any both\nquorum north\n"
    policy.path.write_bytes(policy.path.read_bytes().replace(b"quorum none\n", groups))
    await watched.enrol("gbr")

    assert policy.read().quorum == "north"
    # What is asked for is told, and not what another rule of the file would.
    assert (await watched.view()).quorum == "1 of 1"
    with pytest.raises(ConflictError, match="rules of its own"):
        await set_quorum(watched.world.services, watched.world.call(None), 1)
    with pytest.raises(ConflictError):
        await remove_witness(watched.world.services, watched.world.call(None), "nor")
    await remove_witness(watched.world.services, watched.world.call(None), "gbr")


NO_ENROLMENTS = [
    ("", None, None),
    ("a b", None, None),
    ("none", None, None),
    ("enrolled", None, None),
    ("a\nquorum none", None, None),
    ("nor/2", None, None),
    ("n" * 65, None, None),
    ("nor2", "nonsense", None),
    ("nor2", "log", None),
    ("nor2", None, "http://witness.example"),
    ("nor2", None, "https://witness.example/\nquorum none"),
    ("nor2", None, "https://user@witness.example/"),
    ("nor2", None, "https://witness.example/?w=1"),
    ("nor2", None, "https://witness.example/#w"),
    ("nor2", None, "http://192.0.2.1/"),
    ("nor2", None, "ftp://localhost/"),
    ("nor2", None, "https://"),
    ("nor2", None, "file:///etc/passwd"),
    ("nor2", None, "http://[::bad"),
    ("nor2", None, "https://witness.example:65536/"),
    ("nor2", None, "https://witness.example/\udcff"),
    ("nor2", "nor", None),
]


async def test_enrolment_that_is_none_is_refused_and_recorded(watched: Watched, subtests: pytest.Subtests) -> None:
    witness = await watched.enrol("nor")
    log_key = watched.opened.key.verifier_keys.splitlines()[0]
    keys = {None: str(W1.verifier), "nor": str(witness.signer.verifier), "log": log_key}
    before = watched.policy.path.read_bytes()

    async def enrolled(name: str, key: str, url: str | None) -> Attempt[Any]:
        return await watched.world.attempt(
            add_witness(watched.world.services, watched.world.call(None), name, key, url)
        )

    for name, key, url in NO_ENROLMENTS:
        attempt = await enrolled(name, str(keys.get(key, key)), url)
        with subtests.test(name=name, key=key, url=url):
            assert isinstance(attempt.error, InvalidError)
            assert attempt.entry["decision"] == "refused"
            assert attempt.entry["object"]["id"] in {name, "malformed"}
            assert watched.policy.path.read_bytes() == before
    # Nothing else was wrong with them.
    for url in ("https://witness.example", "http://localhost:8000/w", "http://127.0.0.1:8000/w", "http://[::1]/w"):
        assert (await enrolled("nor2", keys[None], url)).error is None
        await remove_witness(watched.world.services, watched.world.call(None), "nor2")


async def test_both_keys_of_a_witness_at_once_are_named_so(watched: Watched) -> None:
    witness = await watched.enrol("nor")
    both = f"{witness.signer.verifier}\n{W1.verifier}\n"

    attempt = await watched.world.attempt(add_witness(watched.world.services, watched.world.call(None), "two", both))

    assert isinstance(attempt.error, InvalidError)
    assert attempt.error.faults[0].message.startswith("2 keys stand there: give one")


async def test_name_that_is_taken_and_name_that_is_not_there(watched: Watched) -> None:
    await watched.enrol("nor")
    other = MadeWitness(watched.opened, "other")
    call = watched.world.call(None)

    taken = await watched.world.attempt(add_witness(watched.world.services, call, "nor", str(other.signer.verifier)))
    absent = await watched.world.attempt(remove_witness(watched.world.services, call, "gbr"))

    other.close()
    assert isinstance(taken.error, ConflictError)
    assert isinstance(absent.error, NotFoundError)


async def test_of_two_that_change_the_policy_at_once_neither_is_on_record_and_lost(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [MadeWitness(watched.opened, name) for name in ("one", "two")]
    services, call = watched.world.services, watched.world.call(None)
    first, second = (
        watched.world.attempt(add_witness(services, call, each.name, str(each.signer.verifier))) for each in made
    )
    one, two = await at_once(monkeypatch, type(services.store), "append", first, second)

    for each in made:
        each.close()
    assert one.error is None
    assert isinstance(two.error, ConflictError)
    assert [each.name for each in watched.policy.read().witnesses] == ["one"]


@pytest.mark.parametrize("who", ["GBR reader", "auditor", "GBR signatory"])
async def test_only_operators_enrol(watched: Watched, who: str) -> None:
    attempt = await watched.world.attempt(set_quorum(watched.world.services, watched.world.call(who), 0))

    assert isinstance(attempt.error, ForbiddenError)


async def test_operator_of_a_member_lowers_no_quorum(watched: Watched) -> None:
    await watched.world.enrol("GBR operator", "GBR", "operator")
    attempt = await watched.world.attempt(set_quorum(watched.world.services, watched.world.call("GBR operator"), 0))

    assert isinstance(attempt.error, ForbiddenError)
    assert (attempt.entry["type"], attempt.entry["decision"]) == ("witness.quorum_set", "refused")
    await set_quorum(watched.world.services, watched.world.call("operator"), 0)


async def test_auditors_and_operators_see_the_witnesses_and_nobody_else(watched: Watched) -> None:
    for who in ("auditor", "operator"):
        await show_witnesses(watched.world.services, watched.world.call(who))

    attempt = await watched.world.attempt(show_witnesses(watched.world.services, watched.world.call("GBR reader")))

    assert isinstance(attempt.error, ForbiddenError)


async def test_policy_that_cannot_be_read_is_said_and_asks_nobody(watched: Watched, caplog) -> None:
    await watched.enrol("nor")
    watched.policy.path.write_text("quorum nobody\n")

    await watched.watch.round()
    await watched.watch.round()

    assert watched.line.asked == []
    assert caplog.text.count("witnesses cannot be asked") == 1
    with pytest.raises(UnavailableError, match="line 1"):
        await watched.view()


async def test_log_that_is_away_is_told_once_and_each_witness_is_asked_to_the_end(
    watched: Watched, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("nor", "gbr"):
        await watched.enrol(name)
    away, asked = {"nor"}, []

    async def ask(_services: Services, witness: KnownWitness, _line: WitnessLine) -> Asked:
        if witness.name in away:
            raise UnavailableError("the log is away")
        for _ in range(5):
            await asyncio.sleep(0)
        asked.append(witness.name)
        return Asked(AskedState.NOTHING_NEW)

    async def told() -> int:
        await watched.watch.round()
        return caplog.text.count("witnesses cannot be asked: the log is away")

    monkeypatch.setattr("exchange.usecases.log.watch_witnesses.ask_witness", ask)
    while_away = await told(), await told()
    away.clear()
    over = await told()
    away.add("nor")

    assert (while_away, over, await told()) == ((1, 1), 1, 2)
    assert asked == ["gbr", "gbr", "nor", "gbr", "gbr"]


async def test_host_that_keeps_no_policy_of_witnesses_enrols_none_and_says_so(populated: World) -> None:
    made = await populated.attempt(set_quorum(populated.services, populated.call(None), 0))

    assert isinstance(made.error, UnavailableError)
    assert "keeps no policy" in made.error.message


async def test_before_the_log_began_there_is_nothing_behind_it(populated: World) -> None:
    view = (await show_witnesses(populated.services, populated.call("auditor"))).value

    assert (view.origin, view.size, view.witnesses, view.quorum) == (None, 0, (), "none")


async def test_before_the_log_began_no_quorum_is_missed(populated: World) -> None:
    witnessing = replace(populated.services.witnessing, quorum_seconds=60)

    await require_quorum(replace(populated.services, witnessing=witnessing), populated.clock.now)


async def test_before_a_checkpoint_is_kept_none_is_the_newest_and_none_is_missed(populated: World) -> None:
    await place_entries(populated, begins_only=True)
    populated.unguard("log_checkpoint")
    populated.sql("DELETE FROM log_checkpoint")
    state = await populated.services.store.log.state()
    assert state is not None

    assert await newest_witnessed(populated.services, state, NO_WITNESSES) == Witnessed(None, None, None)
