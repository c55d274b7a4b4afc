"""The log at an address, verified by somebody who is shown what lies there: each kind of damage is named, none ends it."""

import httpx2
import pytest

from exchange.audit import BundlePath, TilePath, parse_bundle_path, parse_tile_path, render_bundle
from exchange.audit.verify import Expectations, Step, verify_log
from exchange.cli import audit_places
from exchange.client import ProblemError
from exchange.client.log_folder import LogFolder, write_log
from exchange.client.log_reads import LogAddress, LogReads, is_unnamed
from exchange.kernel import Fault, InvalidError, MalformedError
from tests.core.audit.verify.worlds import KEYS, ORIGIN, START, content, signers, world

WHOAMI = {
    "id": "01980000-0000-7000-8000-000000000001",
    "client": "auditor",
    "agency": "NSM",
    "roles": ["auditor"],
    "clearance": {"level": "SECRET", "compartments": [], "since": "2026-06-01T12:00:00Z", "until": None},
    "nationality": "NOR",
    "purposes": [],
    "assurance": "mutual-tls",
}


@pytest.fixture
def log():
    return world()


def problem(status, code, detail):
    return httpx2.Response(status, json={"code": code, "detail": detail})


def shown_by(log, *, lost=(), is_members=False, origin=None):
    """An exchange that shows `log`, under `origin` where it ended, and says of the paths in `lost` that it no longer has them."""

    def answer(request):
        path = request.url.path.removeprefix("/v1/audit/")
        if request.url.params.get("origin") != origin and path != "/v1/whoami":
            return problem(404, "not-found", "no")
        if path == "/v1/whoami":
            return httpx2.Response(200, json=WHOAMI | {"member": "NOR" if is_members else "EXCHANGE"})
        if path in lost:
            return problem(503, "log-damaged", "the store lacks the entry at position 17")
        if path == "checkpoint":
            is_witnessed = request.url.params.get("witnessed") == "true"
            return problem(404, "not-found", "no") if is_witnessed else httpx2.Response(200, content=log.newest().note)
        if path.startswith("tile/entries/"):
            if is_members:
                return problem(403, "role-missing", "no")
            held = log.entries(parse_bundle_path(path))
            return (
                problem(404, "not-found", "no") if held is None else httpx2.Response(200, content=render_bundle(held))
            )
        held = log.tile(parse_tile_path(path))
        return problem(404, "not-found", "no") if held is None else httpx2.Response(200, content=held)

    return answer


@pytest.fixture
def verified(line):
    def verify(handler):
        return verify_log(LogAddress(LogReads(line(handler).client._transport)), Expectations(KEYS))

    return verify


def found(verification):
    return [(each.step, each.place) for each in verification.findings]


def test_log_that_is_shown_whole_is_sound(log, verified):
    verification = verified(shown_by(log))

    assert verification.findings == ()
    assert (verification.size, verification.entries) == (600, 600)


def test_member_is_shown_hashes_and_verifies_these(log, verified):
    sound = verified(shown_by(log, is_members=True))
    log.tiles[0, 1] = bytes(8192)
    changed = verified(shown_by(log, is_members=True))

    assert (sound.findings, sound.entries) == ((), 0)
    assert found(changed)[0] == (Step.TREE, "tile/1/000.p/2")


def test_log_that_ended_is_verified_under_its_name(log, line):
    reads = LogReads(line(shown_by(log, origin=ORIGIN)).client._transport)

    sound = verify_log(LogAddress(reads, ORIGIN), Expectations(KEYS))
    hidden = verify_log(LogAddress(reads, "exchange.test/log/9"), Expectations(KEYS))

    assert (sound.findings, sound.size, sound.entries) == ((), 600, 600)
    assert found(hidden) == [(Step.SIGNATURE, "newest checkpoint")]
    assert "shows no log of this name" in hidden.findings[0].why


@pytest.mark.parametrize("knows_names", [True, False])
def test_exchange_is_asked_for_each_log_whose_keys_are_given(log, line, capsys, knows_names):
    def answer(request):
        if not knows_names and "origin" in request.url.params:
            faults = [{"pointer": "/origin", "code": "unknown-field", "message": "no such parameter here"}]
            return httpx2.Response(422, json={"code": "invalid", "detail": "the query has faults", "errors": faults})
        return shown_by(log, origin=request.url.params.get("origin"))(request)

    shown = audit_places._shown(LogReads(line(answer).client._transport), ("ended",))
    names = [each.origin for each in shown]

    assert names == (["ended", ""] if knows_names else [""])
    assert ("is not shown by this exchange" in capsys.readouterr().err) is not knows_names


def test_member_that_verifies_leaves_no_refusal_behind(log, line):
    one = line(shown_by(log, is_members=True))
    verify_log(LogAddress(LogReads(one.client._transport)), Expectations(KEYS))

    assert not [each.url.path for each in one.sent if "entries" in each.url.path]
    assert [each.url.path for each in one.sent].count("/v1/whoami") == 1


def edited(log):
    log.contents[300] = content(300, purpose="other")


def swapped(log):
    log.contents[300], log.contents[301] = log.contents[301], log.contents[300]


def flipped(log):
    log.tiles[0, 1] = bytes(8192)


def flipped_above(log):
    log.tiles[1, 0] = bytes(64)


def cut_short(log):
    log.contents[599:] = []


def forged(log):
    log.sign(START, by=signers(7))


@pytest.mark.parametrize(
    ("damage", "step", "place"),
    [
        (edited, Step.TREE, "entry 300"),
        (swapped, Step.TREE, "entry 300"),
        (flipped, Step.TREE, "tile/0/001"),
        (flipped_above, Step.TREE, "tile/1/000.p/2"),
        (cut_short, Step.TREE, "tile/entries/002.p/88"),
        (forged, Step.SIGNATURE, "checkpoint of 600 entries"),
    ],
)
def test_damage_is_named(log, verified, damage, step, place):
    damage(log)

    assert found(verified(shown_by(log)))[0] == (step, place)


@pytest.mark.parametrize("path", ["tile/entries/001", "tile/0/001", "tile/entries/000"])
def test_what_the_exchange_has_lost_is_named_and_the_rest_is_verified(log, verified, path):
    verification = verified(shown_by(log, lost={path}))

    (finding,) = verification.findings
    assert (finding.step, finding.place) == (Step.TREE, path)
    assert finding.why == "the log does not show it: the store lacks the entry at position 17"
    assert verification.root is not None
    assert verification.entries == (600 if "entries" not in path else 344)


def test_log_of_which_the_first_entry_is_lost_has_entries_all_the_same(log, line):
    address = LogAddress(LogReads(line(shown_by(log, lost={"tile/entries/000.p/1"})).client._transport))

    assert address.has_entries


def test_exchange_that_is_away_is_no_finding(log, verified):
    def away(request):
        return (
            problem(503, "unavailable", "the store is away")
            if "tile/0/001" in request.url.path
            else shown_by(log)(request)
        )

    with pytest.raises(ProblemError, match="away"):
        verified(away)


@pytest.mark.parametrize(("behind", "is_shown"), [(-1, True), (0, True), (1, False)])
def test_checkpoint_that_was_signed_after_the_newest_one_came_is_none_of_this_look(log, line, behind, is_shown):
    """It would be of more entries than the newest one: as if the log had been cut since."""
    witnessed = log.checkpoints[behind - 1].note
    if behind > 0:
        other = world(700)
        witnessed = other.newest().note

    def answer(request):
        is_witnessed = request.url.params.get("witnessed") == "true"
        return httpx2.Response(200, content=witnessed) if is_witnessed else shown_by(log)(request)

    address = LogAddress(LogReads(line(answer).client._transport))
    address.newest()

    assert [each.note for each in address.older()] == [witnessed] * is_shown


@pytest.mark.parametrize(
    ("origin", "answer", "error", "why"),
    [
        (None, problem(404, "not-found", "no"), InvalidError, "there is no log there yet"),
        ("other", problem(404, "not-found", "no"), MalformedError, "shows no log of this name"),
        (None, problem(500, "internal", "a fault"), ProblemError, "a fault"),
        ("other", problem(403, "client-suspended", "suspended"), ProblemError, "suspended"),
    ],
)
def test_why_there_is_no_newest_checkpoint_is_told(line, origin, answer, error, why):
    with pytest.raises(error, match=why):
        LogAddress(LogReads(line(lambda _: answer).client._transport), origin).newest()


@pytest.mark.parametrize(
    ("pointer", "code", "says_so"),
    [("/origin", "unknown-field", True), ("/origin", "invalid", False), ("/size", "unknown-field", False)],
)
def test_only_an_exchange_that_knows_no_names_is_taken_for_one(pointer, code, says_so):
    faults = (Fault(pointer, code, "no"), Fault("/x", "y", "no"))

    assert is_unnamed(ProblemError(status=422, code="invalid", detail="no", faults=faults)) is says_so


def test_member_writes_down_the_hashes_and_asks_for_no_entry(log, line, tmp_path):
    one = line(shown_by(log, is_members=True))
    write_log(LogAddress(LogReads(one.client._transport)), tmp_path / "log")

    assert not [each.url.path for each in one.sent if "entries" in each.url.path]
    assert LogFolder(tmp_path / "log").tile(TilePath(0, 1)) == log.tiles[0, 1]
    assert not LogFolder(tmp_path / "log").has_entries


def test_bundle_that_the_exchange_does_not_have_is_none(log, line, tmp_path):
    del log.contents[512:]
    address = LogAddress(LogReads(line(shown_by(log)).client._transport))

    assert address.entries(BundlePath(2, 88)) is None
    with pytest.raises(MalformedError, match=r"`tile/entries/002.p/88` is not whole: 0 of 88"):
        write_log(address, tmp_path / "log")


def test_log_that_has_lost_a_part_is_not_written_down(log, line, tmp_path):
    address = LogAddress(LogReads(line(shown_by(log, lost={"tile/0/001"})).client._transport))

    with pytest.raises(MalformedError, match="does not show it"):
        write_log(address, tmp_path / "log")
