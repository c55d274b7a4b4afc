"""An export tried without the exchange: whole, in order, every leaf in the signed tree."""

from dataclasses import replace

import pytest

from exchange.audit import hash_leaf, inclusion_proof, node_reader, parse_entry, root_of
from exchange.audit.export import ExportedEntry, Place, Statement
from exchange.audit.export.ndjson import entry_line, read_line, statement_line
from exchange.audit.tiles import grow_tiles
from exchange.audit.verify import Expectations, Step, verify_export
from tests.core.audit.verify.worlds import KEYS, ORIGIN, SIGNERS, START, content, sign, signers, world


@pytest.fixture(scope="module")
def log():
    return world(60, 20)


def exported(log, *positions, proofs=True):
    """The lines of an export of these positions."""
    size = len(log.contents)
    lines = []
    for position in positions:
        bytes_ = log.contents[position]
        proof = inclusion_proof(position, size, node_reader(size, log.tile)) if proofs else ()
        lines.append(ExportedEntry(Place(1, position), hash_leaf(bytes_), parse_entry(bytes_), bytes_, proof=proof))
    first, last = (str(Place(1, each)) for each in (positions[0], positions[-1]))
    note = log.checkpoints[-1].note.decode()
    end = Statement("2026-01-01T00:00:00Z", None, first, last, len(positions), f"1.{size}", note)
    return [*map(entry_line, lines), statement_line(end)]


def verified(lines, keys=KEYS):
    return verify_export(lines, lines[-1] if lines else b"", Expectations(keys))


def told(verification):
    return [(each.step, each.place) for each in verification.findings]


def test_slice_with_proofs_is_sound(log):
    verification = verified(exported(log, 3, 17, 59))

    assert verification.is_sound
    assert (verification.entries, verification.size, verification.root, verification.notes) == (3, 60, None, ())


def test_whole_log_without_proofs_is_sound_by_its_root(log):
    verification = verified(exported(log, *range(60), proofs=False))

    assert verification.is_sound
    assert verification.root is not None
    assert verification.notes == ()


def test_slice_without_proofs_is_joined_to_nothing(log):
    (finding,) = verified(exported(log, 3, 17, proofs=False)).findings

    assert (finding.step, finding.place, finding.position) == (Step.TREE, "line 1", 3)
    assert (
        finding.why
        == "it came without a proof (2 did), and position 0 is missing: nothing joins them to what was signed"
        " (a choice of entries is taken out with `--proofs`)"
    )


def test_refusal_left_out_of_a_whole_log_is_noticed_where_its_end_was_changed_too(log):
    lines = exported(log, *(each for each in range(60) if each != 41), proofs=False)

    (finding,) = verified(lines).findings

    assert (
        finding.why
        == "it came without a proof (59 did), and position 41 is missing: nothing joins them to what was signed"
        " (a choice of entries is taken out with `--proofs`)"
    )


def test_invented_entries_without_a_proof_are_not_sound(log):
    invented = content(17, purpose="other")
    view = {name: value for name, value in parse_entry(invented).items() if name != "node"}
    item = ExportedEntry(Place(1, 17), hash_leaf(invented), view, None, extent="others")

    assert not verified([entry_line(item), exported(log, 17)[-1]]).is_sound


def test_one_entry_without_a_proof_among_others_is_named(log):
    lines = exported(log, 3, 17)
    lines[1] = exported(log, 17, proofs=False)[0]

    assert told(verified(lines)) == [(Step.TREE, "line 2")]


def test_forged_entry_of_a_log_of_one_is_named_by_its_line():
    lines = exported(world(1, 1), 0)
    forged = content(1)
    lines[0] = entry_line(ExportedEntry(Place(1, 0), hash_leaf(forged), parse_entry(forged), forged))

    assert (Step.TREE, "line 1") in told(verified(lines))


def test_log_of_one_entry_needs_no_proof():
    verification = verified(exported(world(1, 1), 0))

    assert verification.is_sound
    assert verification.notes == ()


def test_whole_log_of_two_needs_no_proof_either():
    assert verified(exported(world(2, 2), 0, 1, proofs=False)).is_sound


def test_nothing_is_sound_where_nothing_is_said_to_be_there(log):
    end = Statement("2026-01-01T00:00:00Z", None, None, None, 0, "1.60", log.checkpoints[-1].note.decode())

    assert told(verified([statement_line(end)])) == []


def test_changed_bytes_are_named_by_their_line(log):
    lines = exported(log, 3, 17)
    lines[1] = lines[1].replace(b'"r17"', b'"r18"')

    assert told(verified(lines)) == [(Step.TREE, "end of the export"), (Step.FORM, "line 2")]


def test_entry_that_was_never_in_the_tree_is_named(log):
    lines = exported(log, 3, 17)
    forged = content(17, purpose="other")
    item = ExportedEntry(Place(1, 17), hash_leaf(forged), parse_entry(forged), forged)
    lines[1] = entry_line(replace(item, proof=inclusion_proof(17, 60, node_reader(60, log.tile))))

    (finding,) = verified(lines).findings

    assert (finding.step, finding.place, finding.position) == (Step.TREE, "line 2", 17)
    assert finding.entry == parse_entry(forged)["id"]


def test_changed_entry_of_a_whole_log_changes_the_root(log):
    lines = exported(log, *range(60), proofs=False)
    forged = content(17, purpose="other")
    lines[17] = entry_line(ExportedEntry(Place(1, 17), hash_leaf(forged), parse_entry(forged), forged))

    assert told(verified(lines)) == [(Step.TREE, "checkpoint of 60 entries")]


@pytest.mark.parametrize("position", [60, 61, 255, 256])
def test_entry_invented_behind_the_signed_tree_is_named(log, position):
    lines = exported(log, *range(60), proofs=False)
    forged = content(900)
    item = ExportedEntry(Place(1, position), hash_leaf(forged), parse_entry(forged), forged)
    end = Statement("2026-01-01T00:00:00Z", None, "1.0", f"1.{position}", 61, "1.60", log.checkpoints[-1].note.decode())

    verification = verified([*lines[:-1], entry_line(item), statement_line(end)])

    # The others have the signed root still.
    ((finding,), counts) = verification.findings, verification.counts
    assert counts == {Step.TREE: 1}
    assert (finding.step, finding.place, finding.position) == (Step.TREE, "line 61", position)
    assert finding.why == f"a tree of size 60 has no leaf {position}"


def test_line_left_out_is_noticed(log):
    lines = exported(log, 3, 17, 59)
    del lines[1]

    (finding,) = verified(lines).findings

    assert finding.why == "it says 3 entries, 1.3 to 1.59: there are 2, 1.3 to 1.59"


def test_lines_out_of_order_are_named(log):
    lines = exported(log, 3, 17, 59)
    lines[0], lines[1] = lines[1], lines[0]

    assert told(verified(lines)) == [(Step.TREE, "line 2")]


def test_entry_shown_twice_is_named(log):
    lines = exported(log, 3, 17)
    end = Statement("2026-01-01T00:00:00Z", None, "1.3", "1.17", 3, "1.60", log.checkpoints[-1].note.decode())

    (finding,) = verified([lines[0], lines[0], lines[1], statement_line(end)]).findings

    assert (finding.step, finding.place, finding.why) == (Step.TREE, "line 2", "place 1.3 comes behind 1.3")


def test_line_behind_the_end_is_named(log):
    lines = exported(log, 3)

    verification = verify_export([*lines, lines[0]], lines[-1], Expectations(KEYS))

    assert told(verification) == [(Step.TREE, "line 3")]


def test_entry_behind_the_end_is_named_though_it_would_fit_there(log):
    lines = exported(log, 3)

    verification = verify_export([*lines, exported(log, 17)[0]], lines[-1], Expectations(KEYS))

    assert [str(each) for each in verification.findings] == ["tree: line 3: it stands behind the end of the export"]
    assert verification.entries == 1


def test_second_end_is_behind_the_first(log):
    lines = exported(log, 3)

    assert told(verify_export([*lines, lines[-1]], lines[-1], Expectations(KEYS))) == [(Step.TREE, "line 3")]


@pytest.mark.parametrize("cut", [1, 2])
def test_export_that_was_cut_is_not_complete(log, cut):
    verification = verified(exported(log, 3, 17)[:-cut])

    assert told(verification) == [(Step.TREE, "end of the export")]
    assert verification.checkpoint is None


def test_empty_file_is_not_complete():
    assert told(verified([])) == [(Step.TREE, "end of the export")]


@pytest.mark.parametrize("fields", [{"end": "x"}, {"end": 1}, {"checkpoint": 1}, {"checkpoint": ["x"]}])
def test_end_in_another_form_is_no_end(log, fields):
    lines = exported(log, 3)
    given = {"at": "", "after": None, "first": "1.3", "last": "1.3", "count": 1, "end": "1.60", "checkpoint": None}
    lines[-1] = statement_line(Statement(**(given | fields)))

    assert told(verified(lines)) == [(Step.TREE, "end of the export")]


def test_checkpoint_under_another_key_is_refused(log):
    verification = verified(exported(log, 3), keys=tuple(each.verifier for each in signers(2)))

    assert told(verification) == [(Step.SIGNATURE, "checkpoint of 60 entries")]


def test_export_without_a_checkpoint_proves_nothing(log):
    lines = exported(log, 3)
    lines[-1] = statement_line(Statement("2026-01-01T00:00:00Z", None, "1.3", "1.3", 1, "1.60"))

    assert told(verified(lines)) == [(Step.SIGNATURE, "checkpoint of the export")]


def of_two_logs(log, earlier):
    """The lines of an entry of log `earlier`, and of one of log 2 with its proof."""
    old = content(900)
    first = entry_line(ExportedEntry(Place(earlier, 0), hash_leaf(old), parse_entry(old), old))
    second = exported(log, 3)[0].replace(b'"log":1', b'"log":2')
    note = log.checkpoints[-1].note.decode()
    end = Statement("2026-01-01T00:00:00Z", None, f"{earlier}.0", "2.3", 2, "2.60", note)
    return [first, second, statement_line(end)]


def test_entries_of_an_earlier_log_are_not_sound_by_the_checkpoint_of_this_one(log):
    (finding,) = verified(of_two_logs(log, 1)).findings

    assert (finding.step, finding.place, finding.position) == (Step.TREE, "line 1", 0)
    assert finding.entry == parse_entry(content(900))["id"]
    assert finding.why == "it is of log 1, of which no checkpoint here is signed by a key that was given"


def test_entry_of_a_log_that_is_not_there_yet_is_named(log):
    lines = of_two_logs(log, 1)
    lines[1] = lines[1].replace(b'"log":2', b'"log":3')

    assert (Step.TREE, "line 1") in told(verified(lines))
    assert verified(lines).counts[Step.TREE] == 3


ENDED = "exchange.test/log/0"
ENDED_SIGNERS = signers(7, ENDED)
BOTH_KEYS = (*(each.verifier for each in ENDED_SIGNERS), *KEYS)
OLD = [content(number) for number in range(900, 903)]


def over_both(log, positions=(0, 2), *, by=ENDED_SIGNERS, origin=ENDED, proofs=True):
    """The lines of entries of the log that a recovery ended, and of one of the log in use, each with its proof."""
    leaves = [hash_leaf(each) for each in OLD]
    tree = {each.path: each.content for each in grow_tiles(0, leaves, lambda _: b"")}
    old = [
        ExportedEntry(
            Place(1, each),
            leaves[each],
            parse_entry(OLD[each]),
            OLD[each],
            proof=inclusion_proof(each, len(OLD), node_reader(len(OLD), tree.__getitem__)) if proofs else (),
        )
        for each in positions
    ]
    new = exported(log, 3)[0].replace(b'"log":1', b'"log":2')
    note, ended = log.checkpoints[-1].note.decode(), sign(len(OLD), root_of(leaves), START, by, origin).decode()
    count = len(old) + 1
    end = Statement("2026-01-01T00:00:00Z", None, f"1.{positions[0]}", "2.3", count, "2.60", note, (ended,))
    return [*map(entry_line, old), new, statement_line(end)]


def verified_both(lines, keys=BOTH_KEYS):
    return verify_export(lines, lines[-1], Expectations(KEYS), earlier_keys=keys)


def test_entries_of_a_log_that_ended_are_proven_in_its_own_tree(log):
    verification = verified_both(over_both(log))

    assert verification.is_sound
    assert (verification.origin, verification.size, verification.entries) == (ORIGIN, 60, 3)
    assert verification.root is None, "it is a slice: what was left out, it cannot tell"


def test_whole_log_that_ended_is_sound_by_its_root(log):
    assert verified_both(over_both(log, (0, 1, 2), proofs=False)).is_sound


def test_root_is_told_where_all_is_there_of_each_log_that_is_shown(log):
    *old, _, line = over_both(log)
    new = [each.replace(b'"log":1', b'"log":2') for each in exported(log, *range(60), proofs=False)[:-1]]
    end = replace(read_line(line), first="2.0", last="2.59", count=60)
    more = replace(end, first="1.0", count=62)

    whole, part = verified_both([*new, statement_line(end)]), verified_both([*old, *new, statement_line(more)])

    assert (whole.is_sound, whole.root) == (True, root_of([hash_leaf(each) for each in log.contents]))
    assert (part.is_sound, part.root) == (True, None)


def test_entry_that_is_missing_from_a_log_that_ended_is_missed(log):
    (finding,) = verified_both(over_both(log, (0, 2), proofs=False)).findings

    assert (finding.place, finding.position) == ("line 1", 0)
    assert "position 1 is missing" in finding.why


def test_entry_of_the_log_in_use_needs_its_proof_beside_a_log_that_ended(log):
    lines = over_both(log)
    lines[2] = exported(log, 3, proofs=False)[0].replace(b'"log":1', b'"log":2')

    assert told(verified_both(lines)) == [(Step.TREE, "line 3")]


def ended_twice(lines, *earlier):
    """The lines with log 1 as log 2, the one in use as log 3, and the checkpoints of both that ended."""
    moved = [line.replace(b'"log":2', b'"log":3').replace(b'"log":1', b'"log":2') for line in lines[:-1]]
    end = replace(read_line(lines[-1]), first="2.0", last="3.3", end="3.60", earlier=earlier)
    return [*moved, statement_line(end)]


def test_log_that_ended_is_proven_behind_one_that_cannot_be(log):
    (ended,) = read_line((lines := over_both(log))[-1]).earlier
    stranger = sign(3, root_of([b"\x00" * 32] * 3), START, signers(8, "other/log"), "other/log").decode()

    for before in ("no note", stranger):
        assert verified_both(ended_twice(lines, before, ended)).is_sound


def test_log_that_ended_has_one_tree(log):
    (ended,) = read_line((lines := over_both(log))[-1]).earlier

    assert told(verified_both(ended_twice(lines, ended, ended))) == [(Step.TREE, "line 1")]


def test_changed_entry_of_a_log_that_ended_is_named(log):
    forged = content(902, purpose="other")
    lines = over_both(log)
    item = ExportedEntry(Place(1, 2), hash_leaf(forged), parse_entry(forged), forged)
    leaves = [hash_leaf(each) for each in OLD]
    tree = {each.path: each.content for each in grow_tiles(0, leaves, lambda _: b"")}
    lines[1] = entry_line(replace(item, proof=inclusion_proof(2, 3, node_reader(3, tree.__getitem__))))

    assert told(verified_both(lines)) == [(Step.TREE, "line 2")]


def test_log_that_ended_is_not_believed_by_keys_of_the_one_in_use(log):
    assert told(verified_both(over_both(log), KEYS)) == [(Step.TREE, "line 1")]


def test_checkpoint_of_a_log_that_ended_is_signed_by_all_its_keys(log):
    lines = over_both(log, by=ENDED_SIGNERS[:1])

    assert told(verified_both(lines)) == [(Step.SIGNATURE, "checkpoint of 3 entries of log 1")]


@pytest.mark.parametrize("spoilt", ["", "no note"])
def test_log_that_ended_without_a_checkpoint_is_joined_to_nothing(log, spoilt):
    lines = over_both(log)
    end = read_line(lines[-1])
    lines[-1] = statement_line(replace(end, earlier=(spoilt,)))

    assert told(verified_both(lines)) == [(Step.TREE, "line 1")]


def test_older_tree_of_the_log_in_use_is_none_of_a_log_that_ended(log):
    lines = over_both(log, by=SIGNERS, origin=ORIGIN)

    assert told(verified_both(lines)) == [(Step.TREE, "line 1")]


def test_findings_are_told_to_the_word(log):
    lines = exported(log, 3, 17, 59)
    lines[0] = lines[0].replace(b'"r3"', b'"r4"')
    lines[1], lines[2] = lines[2], lines[1]
    seventeen = parse_entry(log.contents[17])["id"]

    verification = verified(lines)

    assert [str(each) for each in verification.findings] == [
        f"tree: line 3 ({seventeen}): place 1.17 comes behind 1.59",
        "form: line 1: a line of the export is damaged: its bytes are not those of its leaf hash",
    ]
    assert verification.counts == {Step.TREE: 2, Step.FORM: 1}
    assert [each.position for each in verification.findings] == [17, None]


def test_forged_entry_is_told_by_what_its_proof_leads_to(log):
    forged = content(17, purpose="other")
    proof = inclusion_proof(17, 60, node_reader(60, log.tile))
    item = ExportedEntry(Place(1, 17), hash_leaf(forged), parse_entry(forged), forged, proof=proof)

    (finding,) = verified([entry_line(item), exported(log, 17)[-1]]).findings

    assert finding.why == "leaf 17 is not in the tree of size 60: the proof leads to another root"
    assert (finding.position, finding.entry) == (17, parse_entry(forged)["id"])


def test_whole_log_with_another_root_is_told(log):
    lines = exported(log, *range(60), proofs=False)
    forged = content(17, purpose="other")
    lines[17] = entry_line(ExportedEntry(Place(1, 17), hash_leaf(forged), parse_entry(forged), forged))

    assert [str(each) for each in verified(lines).findings] == [
        "tree: checkpoint of 60 entries: all entries together have another root than the one that was signed"
    ]


def test_what_is_told_of_a_sound_export_is_what_was_signed(log):
    verification = verified(exported(log, *range(60), proofs=False))

    assert (verification.origin, verification.size, verification.entries) == (ORIGIN, 60, 60)
    assert verification.root == root_of([hash_leaf(each) for each in log.contents])
    assert verification.checkpoint == log.checkpoints[-1].note
    assert (verification.older, verification.witnesses, verification.counts) == (0, (), {})


def test_export_without_an_end_tells_nothing_else(log):
    verification = verified(exported(log, 3)[:-1])

    assert (verification.origin, verification.size, verification.root) == (None, 0, None)
    assert (verification.checkpoint, verification.entries, verification.notes) == (None, 0, ())
    assert [str(each) for each in verification.findings] == [
        "tree: end of the export: it ends before it is complete: ask again for what is missing"
    ]


def test_checkpoint_that_is_none_or_another_keys_is_told(log):
    lines = exported(log, 3)
    lines[-1] = statement_line(Statement("2026-01-01T00:00:00Z", None, "1.3", "1.3", 1, "1.60"))
    assert [str(each) for each in verified(lines).findings] == [
        "signature: checkpoint of the export: note has no blank line followed by signature lines"
    ]

    (finding,) = verified(exported(log, 3), keys=tuple(each.verifier for each in signers(2))).findings
    assert str(finding) == "signature: checkpoint of 60 entries: no known key has signed the note"


def test_entries_that_are_not_shown_whole_are_counted(log):
    whole = parse_entry(log.contents[17])
    names = ("v", "id", "ts", "type", "decision", "actor", "request_id", "source")
    view = {name: value for name, value in whole.items() if name in names}
    proof = inclusion_proof(17, 60, node_reader(60, log.tile))
    item = ExportedEntry(Place(1, 17), hash_leaf(log.contents[17]), view, None, extent="refusal", proof=proof)

    verification = verified([entry_line(item), exported(log, 17)[-1]])

    assert verification.is_sound, verification.findings
    assert verification.notes == ("1 entry is not shown whole: that it exists was verified, not what is shown",)


def test_name_of_a_person_is_told_to_be_unverified(log):
    lines = exported(log, 3, 17)
    lines[1] = lines[1].replace(b',"entry":', b',"personal":{"name":"Somebody else"},"entry":')

    verification = verified(lines)

    assert verification.is_sound
    (note,) = verification.notes
    assert note.startswith("1 entry comes with names, addresses or certificates in the clear")
    assert "they were not verified" in note


@pytest.mark.parametrize(
    ("said", "instead"),
    [
        (b'{"log":1', b'{"position":2,"log":1'),
        (b'{"log":1', b'{"verified":"by the exchange","log":1'),
        (b'{"log":1', b' {"log":1'),
    ],
)
def test_line_that_two_readers_read_otherwise_is_named(log, said, instead):
    lines = exported(log, 3, 17)
    lines[0] = lines[0].replace(said, instead, 1)

    assert told(verified(lines))[-1] == (Step.FORM, "line 1")


def test_narrowed_entry_with_a_name_that_stands_twice_is_named(log):
    view = {name: value for name, value in parse_entry(log.contents[17]).items() if name != "node"}
    proof = inclusion_proof(17, 60, node_reader(60, log.tile))
    item = ExportedEntry(Place(1, 17), hash_leaf(log.contents[17]), view, None, extent="others", proof=proof)
    line, end = entry_line(item), exported(log, 17)[-1]

    assert verified([line, end]).is_sound
    twice = line.replace(b'"decision":', b'"decision":"refused","decision":', 1)
    assert (Step.FORM, "line 1") in told(verified([twice, end]))


@pytest.mark.parametrize("end", ["1.59", "1.61", "1.99999"])
def test_export_that_reaches_further_or_less_far_than_its_checkpoint_is_named(log, end):
    lines = exported(log, 3, 17)
    lines[-1] = lines[-1].replace(b'"end":"1.60"', f'"end":"{end}"'.encode())

    (finding,) = verified(lines).findings

    assert finding.why == f"it says that it is complete up to {end}, and its checkpoint was signed over 60"


def test_end_that_says_two_things_is_named(log):
    lines = exported(log, 3, 17)
    lines[-1] = lines[-1].replace(b'"count":', b'"count":9,"count":')

    assert told(verified(lines)) == [(Step.FORM, "line 3")]
