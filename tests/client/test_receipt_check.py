"""Receipts against the log: each is proven or owed, and every checkpoint seen tells one history."""

import base64
from dataclasses import replace
from datetime import timedelta

import pytest

from exchange.audit import (
    TlogProof,
    consistency_proof,
    hash_leaf,
    inclusion_proof,
    node_reader,
    parse_checkpoint,
    parse_entry,
    parse_note,
)
from exchange.audit.verify import KeptCheckpoint, KnownCheckpoint
from exchange.client import KeptReceipt, ProblemError
from exchange.client.receipt_check import ProofFolder, ReceiptCheck, proof_file
from exchange.kernel import Fault, MalformedError, rfc3339
from tests.core.audit.verify.worlds import KEYS, ORIGIN, SECOND, START, content, sign, signers, world

NOW = START + 1000 * SECOND


class Desk:
    """The log's side, on a log in memory; tests break it."""

    def __init__(self, log):
        self.log = log
        self.refused = {}
        self.joins = True

    def proof(self, entry_id):
        if entry_id in self.refused:
            status = self.refused[entry_id]
            raise ProblemError(status=status, code="x", detail="no")
        ids = [parse_entry(each)["id"] for each in self.log.contents]
        if entry_id not in ids:
            raise ProblemError(status=404, code="not-found", detail="no")
        size, position = len(ids), ids.index(entry_id)
        hashes = inclusion_proof(position, size, node_reader(size, self.log.tile))
        return TlogProof(position, hashes, parse_note(self.log.checkpoints[-1].note)).render()

    def consistency(self, old_size, new_size, origin=None):
        if self.joins is not True:
            return self.joins
        if new_size > len(self.log.contents):
            raise ProblemError(status=404, code="not-found", detail="no such tree")
        return consistency_proof(old_size, new_size, node_reader(new_size, self.log.tile))


def receipt(entry, at=NOW):
    leaf = base64.b64encode(hash_leaf(entry)).decode()
    return KeptReceipt(parse_entry(entry)["id"], leaf, rfc3339(at), "GET /v1/whoami", 200)


def known(note, whence="another member"):
    return [KnownCheckpoint(note, whence)]


@pytest.fixture
def log():
    return world(60, 20)


@pytest.fixture
def desk(log):
    return Desk(log)


@pytest.fixture
def check(desk):
    return ReceiptCheck(desk, KEYS, NOW)


def whys(check):
    return [each.why for each in check.findings]


def test_receipts_that_the_log_holds_are_proven(check, log):
    for position in (0, 31, 59):
        assert check.prove(receipt(log.contents[position])) is not None
    check.compare(known(log.checkpoints[0].note, "the last check"))

    assert (check.proven, check.waiting, check.unlinked, check.findings) == (3, 0, 0, [])
    assert check.newest == log.checkpoints[-1].note


def test_receipt_of_an_entry_that_is_gone_is_owed(check, log):
    gone = receipt(content(999))

    assert check.prove(gone) is None
    assert [(each.receipt, each.why) for each in check.findings] == [
        (gone, "the log no longer holds it: the log was cut")
    ]


@pytest.mark.parametrize("statuses", [(200, 200), (429, 200), (201, 429)])
def test_entry_that_was_given_for_two_answers_is_owed_to_the_second(check, log, statuses):
    """An exchange gave the receipt of one answer again, and left what it did then out of its log."""
    whole = receipt(log.contents[31])
    first, second = (replace(whole, status=status, request=f"GET /{at}") for at, status in enumerate(statuses))

    assert check.prove(first) is not None
    assert check.prove(second) is None
    assert [(each.receipt, each.why) for each in check.findings] == [
        (second, f"its entry was given for GET /0 at {first.at} too, and tells of one alone")
    ]


def test_entry_of_a_refused_flood_is_given_for_all_of_it(check, log):
    refused = replace(receipt(log.contents[31]), status=429)

    for request in ("GET /v1/reports", "GET /v1/whoami"):
        assert check.prove(replace(refused, request=request)) is not None
    assert check.findings == []


def test_receipt_of_an_entry_that_was_changed_is_owed(check, log):
    given = receipt(log.contents[31])
    contents = list(log.contents)
    contents[31] = content(31, purpose="other")
    log.rebuild(contents)

    assert check.prove(given) is None
    assert "does not prove it: leaf 31 is not in the tree" in whys(check)[0]


@pytest.fixture
def recovered(log):
    """The desk of a log that was recovered, and the keys of both."""
    name = "exchange.test/log/1/2"
    by, next_one = signers(3, name), world(20, 20)
    next_one.contents = [content(700 + number) for number in range(20)]
    next_one.rebuild(next_one.contents)
    head = parse_checkpoint(parse_note(next_one.checkpoints[-1].note).text)
    next_one.checkpoints = [KeptCheckpoint(sign(head.size, head.root, NOW, by, name))]
    return Desk(log), Desk(next_one), (*KEYS, *(each.verifier for each in by))


class Both:
    """The log that ended, and the one in use, at one address."""

    def __init__(self, old, new):
        self.old, self.new = old, new

    def proof(self, entry_id):
        ids = [parse_entry(each)["id"] for each in self.old.log.contents]
        return (self.old if entry_id in ids else self.new).proof(entry_id)

    def consistency(self, old_size, new_size, origin=None):
        return (self.old if origin == ORIGIN else self.new).consistency(old_size, new_size)


class OfOldVersion(Both):
    """An exchange that shows no log by its name."""

    def consistency(self, old_size, new_size, origin=None):
        if origin is not None:
            faults = (Fault("/origin", "unknown-field", "no such parameter here"),)
            raise ProblemError(status=422, code="invalid", detail="the query has faults", faults=faults)
        return self.new.consistency(old_size, new_size)


def test_receipts_of_a_log_that_ended_are_proven_beside_those_of_the_one_in_use(recovered, log):
    old, new, keys = recovered
    check = ReceiptCheck(Both(old, new), keys, NOW)

    for each in (log.contents[3], log.contents[59], new.log.contents[7]):
        assert check.prove(receipt(each)) is not None
    check.compare(known(log.checkpoints[0].note, "the last check"))

    assert (check.proven, check.unlinked, check.findings) == (3, 0, [])
    assert check.newest == new.log.checkpoints[-1].note


def test_log_that_ended_and_was_rewritten_since_is_two_histories(recovered, log):
    old, new, keys = recovered
    check = ReceiptCheck(Both(old, new), keys, NOW)
    check.prove(receipt(log.contents[3]))

    check.compare(known(sign(20, bytes(32), START)))

    assert [why.split(":")[0] for why in whys(check)] == ["two histories"]


def test_member_that_has_the_keys_of_the_log_that_ended_alone_accuses_nobody(recovered, log):
    old, new, _ = recovered
    check = ReceiptCheck(Both(old, new), KEYS, NOW)
    check.prove(receipt(log.contents[3]))

    check.compare(known(log.checkpoints[0].note, "the last check"))

    assert (check.unlinked, check.findings) == (0, [])


def test_exchange_of_before_says_of_the_log_in_use_alone_how_it_grew(recovered, log):
    old, new, keys = recovered
    check = ReceiptCheck(OfOldVersion(old, new), keys, NOW)
    for each in (log.contents[3], new.log.contents[7]):
        check.prove(receipt(each))

    check.compare(
        [*known(log.checkpoints[0].note), *known(sign(7, bytes(32), NOW, signers(3, f"{ORIGIN}/2"), f"{ORIGIN}/2"))]
    )

    assert check.unlinked == 1
    assert [why.split(":")[0] for why in whys(check)] == ["two histories"]


def test_log_that_ended_shorter_than_it_was_is_noticed(recovered, log):
    old, new, keys = recovered
    larger = world(80, 20).checkpoints[-1].note
    check = ReceiptCheck(Both(old, new), keys, NOW)

    check.prove(receipt(log.contents[3]))
    check.compare(known(larger))

    assert whys(check) == ["another member holds a checkpoint of 80 entries, the log shows fewer: cut"]


def test_checkpoint_of_a_log_that_ended_is_no_fault_of_the_one_in_use(recovered, log):
    old, new, keys = recovered
    check = ReceiptCheck(Both(old, new), keys, NOW)

    check.prove(receipt(new.log.contents[3]))
    check.compare(known(log.checkpoints[-1].note))

    assert check.findings == []


def test_proof_under_a_key_that_is_not_the_logs_is_none(desk, log):
    check = ReceiptCheck(desk, [each.verifier for each in signers(2)], NOW)

    assert check.prove(receipt(log.contents[0])) is None
    assert "no known key" in whys(check)[0]


def test_young_receipt_may_wait_for_its_place(check, desk, log):
    """The log signed last at START + 60 s: what waits since a minute before that was passed over."""
    young = receipt(log.contents[0], START)
    desk.refused[young.entry] = 409

    check.prove(young)
    check.prove(receipt(log.contents[1]))
    check.compare([])

    assert (check.waiting, check.findings) == (1, [])


def test_receipt_that_others_overtook_is_owed(check, desk, log):
    old = receipt(log.contents[0], START - SECOND)
    desk.refused[old.entry] = 409

    check.prove(old)
    desk.log = world(20)
    check.prove(receipt(log.contents[1]))
    desk.log = log
    check.prove(receipt(log.contents[1]))
    check.compare([])

    assert "never got its place" in whys(check)[0]
    assert check.waiting == 0


@pytest.mark.parametrize(("waits", "is_owed"), [(60, False), (61, True)])
def test_log_whose_time_lies_ahead_overtakes_no_receipt_of_now(check, desk, log, waits, is_owed):
    """Another node's clock was ahead once: the log's time stands still there."""
    log.append(content(60), at=NOW + timedelta(hours=5))
    young = receipt(log.contents[0], NOW - waits * SECOND)
    desk.refused[young.entry] = 409

    check.prove(young)
    check.prove(receipt(log.contents[1]))
    check.compare([])

    assert (check.waiting, len(check.findings)) == ((0, 1) if is_owed else (1, 0))


@pytest.mark.parametrize(("waits", "is_owed"), [(3660, False), (3661, True)])
def test_receipt_waits_for_a_sequencer_that_is_away_for_an_hour(check, desk, log, waits, is_owed):
    one = receipt(log.contents[0], NOW - waits * SECOND)
    desk.refused[one.entry] = 409

    check.prove(one)
    check.compare([])

    assert (check.waiting, len(check.findings)) == ((0, 1) if is_owed else (1, 0))


def test_refusal_that_says_nothing_of_the_log_is_raised(check, desk, log):
    one = receipt(log.contents[0])
    desk.refused[one.entry] = 403

    with pytest.raises(ProblemError):
        check.prove(one)


# ── one history ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_log_that_is_smaller_than_what_was_kept_was_cut(check, desk, log):
    kept = log.checkpoints[-1].note
    desk.log = world(40, 20)
    check.prove(receipt(log.contents[0]))

    check.compare(known(kept, "the last check"))

    assert whys(check) == ["the last check holds a checkpoint of 60 entries, the log shows fewer: cut"]


def test_log_that_was_cut_is_held_to_what_was_kept_of_its_size_too(check, log):
    """It was cut, and before the cut it is another one."""
    cut = log.checkpoints[-1].note
    forged = sign(40, bytes(32), NOW)
    log.rebuild(list(log.contents[:40]))
    check.prove(receipt(log.contents[0]))
    check.compare([*known(cut), *known(forged, "the last check")])

    assert whys(check)[0] == "another member holds a checkpoint of 60 entries, the log shows fewer: cut"
    assert whys(check)[1].startswith("two histories: the checkpoints from ")


def test_log_that_shows_less_than_was_kept_was_cut_though_it_can_prove_the_rest(check, desk, log):
    """It hides its tail behind an old checkpoint."""
    kept, whole = log.checkpoints[-1].note, Desk(log)
    desk.log, desk.consistency = world(1), whole.consistency
    check.prove(receipt(log.contents[0]))

    check.compare(known(kept))

    assert whys(check) == ["another member holds a checkpoint of 60 entries, the log shows fewer: cut"]


def test_two_histories_of_one_size_shown_to_two_members_are_noticed(check, log):
    other = world(60, 20)
    other.rebuild([*other.contents[:59], content(59, purpose="other")])
    check.prove(receipt(log.contents[0]))

    check.compare(known(other.checkpoints[-1].note))

    (why,) = whys(check)
    assert why.startswith("two histories: the checkpoints from the log (60 entries) and another member (60 entries)")


def test_two_histories_of_different_sizes_are_noticed(check, log):
    other = world(40, 20)
    other.rebuild([*other.contents[:39], content(39, purpose="other")])
    check.prove(receipt(log.contents[0]))

    check.compare(known(other.checkpoints[-1].note))

    assert whys(check)[0].startswith("two histories")


def test_log_that_grew_between_two_proofs_is_linked(check, log):
    check.prove(receipt(log.contents[0]))
    log.append(content(60))
    check.prove(receipt(log.contents[60]))

    check.compare([])

    assert check.findings == []
    assert check.newest == log.checkpoints[-1].note


NO_TREE = ProblemError(status=404, code="not-found", detail="no such tree")


def refuse(why):
    def refused(old_size, new_size, origin=None):
        raise why

    return refused


@pytest.mark.parametrize(
    ("why", "told"),
    [(NO_TREE, "the log gives no proof that joins"), (MalformedError("proof is no list"), "two histories")],
)
def test_log_that_gives_no_consistency_proof_is_named(check, desk, log, why, told):
    check.prove(receipt(log.contents[0]))
    desk.consistency = refuse(why)

    check.compare(known(log.checkpoints[0].note))

    assert whys(check)[0].startswith(told)


def test_log_that_ended_and_gives_no_consistency_proof_is_named(recovered, log):
    old, new, keys = recovered
    check = ReceiptCheck(Both(old, new), keys, NOW)
    check.prove(receipt(log.contents[3]))
    old.consistency = refuse(NO_TREE)

    check.compare(known(log.checkpoints[0].note))

    assert "gives no proof that joins" in whys(check)[0]


def test_checkpoint_of_somebody_else_is_no_evidence(check, log):
    check.prove(receipt(log.contents[0]))

    check.compare([*known(b"no note"), *known(world(20).checkpoints[-1].note.replace(b"\n20\n", b"\n19\n"))])

    assert [why.split(":")[0] for why in whys(check)] == ["the checkpoint from another member cannot be used"] * 2


def test_without_receipts_nothing_is_known(check, log):
    assert check.newest is None

    check.compare(known(log.checkpoints[-1].note))

    assert check.findings == []


def test_without_proofs_a_log_that_is_too_small_says_so_itself(check, desk, log):
    desk.log = world(40, 20)

    check.compare(known(log.checkpoints[-1].note))

    assert whys(check) == ["another member holds a checkpoint of 60 entries, the log shows fewer: cut"]


# ── from files ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_kept_proofs_are_checked_without_the_exchange(desk, log, tmp_path):
    kept = [receipt(log.contents[position]) for position in (0, 1)]
    proof_file(tmp_path, kept[0].entry).write_bytes(desk.proof(kept[0].entry))
    check = ReceiptCheck(ProofFolder(tmp_path), KEYS, NOW)

    assert [check.prove(each) is not None for each in kept] == [True, False]
    check.compare(known(log.checkpoints[0].note))

    assert (check.proven, check.unlinked, len(check.findings)) == (1, 1, 1)
    assert "no proof of it is kept here" in whys(check)[0]


def test_proofs_that_were_kept_before_the_log_grew_do_not_say_that_it_was_cut(desk, log, tmp_path):
    one = receipt(log.contents[0])
    proof_file(tmp_path, one.entry).write_bytes(desk.proof(one.entry))
    log.append(*(content(number) for number in range(60, 80)))
    check = ReceiptCheck(ProofFolder(tmp_path), KEYS, NOW)

    check.prove(one)
    check.compare(known(log.checkpoints[-1].note, "a witness"))

    assert (check.proven, check.unlinked, check.findings) == (1, 1, [])


def test_kept_proofs_still_tell_two_histories_of_one_size(desk, log, tmp_path):
    one, other = receipt(log.contents[0]), world(60, 20)
    proof_file(tmp_path, one.entry).write_bytes(desk.proof(one.entry))
    other.rebuild([*other.contents[:59], content(59, purpose="other")])
    check = ReceiptCheck(ProofFolder(tmp_path), KEYS, NOW)

    check.prove(one)
    check.compare(known(other.checkpoints[-1].note))

    assert whys(check)[0].startswith("two histories")
