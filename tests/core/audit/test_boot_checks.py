"""What an operator may try on the entries of a node, and what notices it."""

import dataclasses
from datetime import timedelta

import pytest

from exchange.audit import EventName, Outcome, open_boot, parse_entry, sign_evidence
from exchange.audit.boot_checks import BootChecks, BootFault
from tests.core.audit.boots import NODE_KEY, START, Boot, checked, key


def lived(**fields):
    """A boot of ten entries: 1 to 3, heartbeat 4, 5 to 8 (7 is a refusal), heartbeat 9, the end 10."""
    boot = Boot(**fields)
    boot.write(3)
    boot.sign()
    boot.write(2)
    boot.write(outcome=Outcome.REFUSED)
    boot.write()
    boot.sign()
    boot.sign(is_closing=True, event=EventName.SERVICE_STOPPED)
    return boot


def found(*entries, **options):
    """Return fault and number of the one finding."""
    (finding,) = checked(*entries, **options)
    return finding.fault, finding.number


def renumbered(boot, entries, by=-1):
    """Return entries with other numbers, bytes and hashes made anew."""
    return [boot.seal(entry.node_seq + by, outcome=Outcome.PERMITTED) for entry in entries]


def test_entries_as_they_were_written_are_in_order():
    assert checked(*lived().written) == ()


def test_boots_that_run_at_once_are_each_by_themselves():
    one, two = lived(), lived(number=2, node="node-2", identity=key(5))
    both = [entry for pair in zip(one.written, two.written, strict=True) for entry in pair]

    assert checked(*both, keys=(NODE_KEY, key(5))) == ()


def test_transactions_may_overtake_each_other():
    one, two, three, *rest = lived().written

    assert checked(three, one, two, *rest) == ()


@pytest.mark.parametrize("is_closing", [True, False])
def test_entry_that_the_last_evidence_waited_for_may_come_behind_it(is_closing):
    boot = Boot()
    boot.write()
    boot.sign()
    boot.write(2)
    boot.sign(is_closing=is_closing)
    *before, late, last = boot.written
    other = boot.seal(late.node_seq, purpose="other")

    assert checked(*before, last, late) == ()
    assert found(*before, last, other) == (BootFault.CHANGED, 3)
    assert found(*before, last) == (BootFault.MISSING, 4)


def test_evidence_may_be_of_less_than_stands_before_it():
    boot = Boot()
    boot.write(2)
    held = boot.record.upto, boot.record.digest()
    boot.write(2)
    stated = boot.seal(5, event=EventName.NODE_HEARTBEAT, detail=_stated(boot, *held))
    boot._keep(sign_evidence(stated, boot.key.sign))
    boot.is_opened = True
    boot.sign(is_closing=True)

    assert checked(*boot.written) == ()


def _stated(boot, upto, digest, is_closing=False):
    from exchange.audit import Evidence

    return Evidence(upto, digest, is_closing, boot.opening).as_detail()


def test_entries_that_are_not_signed_for_yet_are_no_finding():
    boot = Boot()
    boot.write(2)
    boot.sign()
    boot.write(3)

    assert checked(*boot.written, later=False) == ()


# ── the table of attacks: N and K ──────────────────────────────────────────────────────────────────────────────────────


def test_deleted_refusal_is_missed_by_number():
    entries = lived().written
    del entries[6]

    assert found(*entries) == (BootFault.MISSING, 7)


def test_deleted_refusal_with_numbers_made_anew_is_noticed():
    boot = lived()
    entries = boot.written
    closed_up = [*entries[:6], *renumbered(boot, entries[7:8]), *entries[8:]]

    assert found(*closed_up) == (BootFault.MISSING, 8)


def test_deleted_refusal_with_all_numbers_behind_it_made_anew_is_noticed():
    boot = lived()
    moved = boot.seal(7)
    beat = parse_entry(boot.written[8].content)
    evidence = boot.seal(8, event=EventName.NODE_HEARTBEAT, detail=beat["detail"])

    assert found(*boot.written[:6], moved, evidence) == (BootFault.FORGED, 8)


def test_refusal_with_other_bytes_is_noticed():
    boot = lived()
    entries = [*boot.written]
    entries[6] = boot.seal(7)

    finding = checked(*entries)[0]

    assert (finding.fault, finding.number) == (BootFault.CHANGED, 5)
    assert "up to number 8" in finding.why
    assert finding.entry == entries[4].id


@pytest.mark.parametrize("count", [1, 2])
def test_deleted_last_entry_is_missed(count):
    boot = Boot()
    boot.write(3)
    boot.sign()
    boot.write(4)
    boot.sign()
    entries = boot.written
    del entries[-1 - count : -1]

    assert found(*entries) == (BootFault.MISSING, 9 - count)


def test_deleted_end_of_a_boot_leaves_it_open():
    boot, after = lived(), Boot(2)
    checks = BootChecks([NODE_KEY.verifying_key])
    for position, entry in enumerate([*boot.written[:-1], *after.written]):
        checks.observe(position, parse_entry(entry.content), entry.leaf_hash)

    assert checks.finish() == ()
    assert list(checks._boots) == [boot.id]


def test_forged_row_under_a_boot_of_its_own_is_noticed():
    forger = Boot(7)
    forger.write()

    finding = checked(*forger.written, *lived().written)[0]

    assert (finding.fault, finding.number, finding.position) == (BootFault.UNSIGNED, 1, 0)
    assert "no key" in finding.why


def test_forged_boot_with_a_key_of_its_own_is_noticed():
    forger = lived(number=7, identity=key(66))

    finding = checked(*forger.written)[0]

    assert (finding.fault, finding.number) == (BootFault.FORGED, 4)
    assert "no known node" in finding.why


def test_forged_row_behind_what_is_signed_is_noticed():
    boot = Boot()
    boot.write(2)
    boot.sign()
    forged = boot.seal(4)

    finding = checked(*boot.written, forged)[0]

    assert (finding.fault, finding.number, finding.entry) == (BootFault.UNSIGNED, 4, forged.id)
    assert "no evidence" in finding.why


@pytest.mark.parametrize("place", [0, 2, 5, 8, 10])
def test_forged_row_with_a_number_that_is_taken_is_named(place):
    boot = lived()
    forged = boot.seal(2)
    entries = [*boot.written[:place], forged, *boot.written[place:]]

    (finding,) = checked(*entries)

    assert (finding.fault, finding.entry) == (BootFault.FORGED, forged.id)


@pytest.mark.parametrize("number", [10, 11, 50])
def test_forged_row_at_the_end_of_a_closed_boot_is_named(number):
    boot = lived()
    forged = boot.seal(number)

    for entries in ([*boot.written, forged], [forged, *boot.written]):
        (finding,) = checked(*entries)
        assert finding.fault is BootFault.FORGED
        assert finding.entry in {forged.id, boot.written[-1].id}


def test_number_behind_the_end_that_came_first_is_named():
    boot = Boot()
    boot.write()
    boot.sign(is_closing=True)
    forged = boot.seal(3)

    (finding,) = checked(forged, *boot.written)

    assert (finding.fault, finding.entry) == (BootFault.FORGED, forged.id)


def test_entry_in_the_name_of_another_node_is_named():
    boot = lived()
    boot.node = "node-2"
    forged = boot.seal(11)

    assert found(*boot.written[:5], forged) == (BootFault.FORGED, 11)


def test_heartbeat_shown_again_is_named():
    boot = lived()
    again = dataclasses.replace(boot.written[3])

    assert found(*boot.written[:9], again) == (BootFault.FORGED, 4)


def test_heartbeat_of_another_boot_is_named():
    boot, other = lived(), lived(number=2)
    foreign = parse_entry(other.written[3].content)
    forged = boot.seal(11, event=EventName.NODE_HEARTBEAT, detail={**foreign["detail"], "upto": 10})

    assert found(*boot.written[:9], forged) == (BootFault.FORGED, 11)


def test_evidence_in_no_known_form_is_named():
    boot = lived()
    forged = boot.seal(10, event=EventName.NODE_HEARTBEAT, detail={"signature": "AAAA", "upto": 99})

    assert found(*boot.written[:9], forged) == (BootFault.FORGED, 10)


def test_evidence_of_a_boot_that_was_never_opened_is_named():
    boot = Boot(is_opened=True)
    boot.write()
    boot.sign()

    finding = checked(*boot.written)[0]

    assert (finding.fault, finding.number) == (BootFault.FORGED, 2)
    assert "no key" in finding.why


def test_boot_that_is_opened_again_with_another_key_is_named():
    boot = Boot()
    boot.write(2)
    boot.sign()
    # Its process was killed, and its key is gone with it: whoever has the node's own certifies another one, and goes on.
    boot.key, boot.opening = open_boot(NODE_KEY, bytes(range(32)), node=boot.node, boot=boot.id)
    boot.is_opened = False
    boot.write()
    boot.sign()

    assert found(*boot.written) == (BootFault.FORGED, 5)


def test_missing_number_among_entries_that_nobody_signed_for_is_named():
    boot = Boot()
    boot.write(2)
    boot.sign()
    boot.write(3)
    *signed, four, _, six = boot.written

    for unsigned in ((four, six), (six, four)):
        assert found(*signed, *unsigned) == (BootFault.MISSING, 5)


def test_evidence_that_waits_too_long_is_not_waited_for():
    boot = Boot()
    boot.write(2)
    for _ in range(33):
        boot.sign()
    del boot.written[1]
    *awaited, last = boot.written
    checks = BootChecks([NODE_KEY.verifying_key])
    for position, entry in enumerate(awaited):
        checks.observe(position, parse_entry(entry.content), entry.leaf_hash)
    assert checks._boots
    checks.observe(len(awaited), parse_entry(last.content), last.leaf_hash)

    assert not checks._boots
    assert [(each.fault, each.number, each.position) for each in checks.finish()] == [(BootFault.MISSING, 2, None)]


def test_hash_that_is_wrong_without_a_new_entry_is_noticed():
    boot = Boot()
    boot.sign()
    stated = boot.seal(2, event=EventName.NODE_HEARTBEAT, detail={**_stated(boot, 0, bytes(32))})
    entries = [*boot.written, sign_evidence(stated, boot.key.sign)]

    (finding,) = checked(*entries)

    assert (finding.fault, finding.number, finding.entry) == (BootFault.CHANGED, 0, None)


def test_older_evidence_that_comes_late_is_believed():
    boot = Boot()
    boot.write()
    held = boot.record.upto, boot.record.digest()
    boot.write()
    boot.sign()
    boot.write()
    late = sign_evidence(boot.seal(5, event=EventName.NODE_HEARTBEAT, detail=_stated(boot, *held)), boot.key.sign)
    boot._keep(late)
    boot.sign()

    one, two, beat, four, late, last = boot.written

    assert checked(one, two, beat, four, late, last) == ()


def test_only_the_first_finding_of_a_boot_is_told():
    boot = lived()
    entries = boot.written
    del entries[6], entries[1]

    assert found(*entries) == (BootFault.MISSING, 2)


def test_findings_come_in_the_order_of_the_log():
    one, two, three = Boot(1), Boot(2), Boot(3)
    for boot in (one, two, three):
        boot.write()
    gone, again = lived(number=4), lived(number=5)
    del gone.written[1]
    again.written.append(again.written[3])

    told = checked(*three.written, *gone.written, *one.written, *again.written, *two.written)

    assert [finding.boot for finding in told] == [three.id, one.id, again.id, two.id, gone.id]


def test_empty_log_has_nothing_wrong():
    assert checked(later=False) == ()


def test_entry_of_the_last_minutes_may_still_be_signed_for():
    boot = Boot()
    boot.write()
    for age, faults in ((timedelta(seconds=100), ()), (timedelta(seconds=300), (BootFault.UNSIGNED,))):
        newest = Boot(2, at=START + age)
        newest.write()
        newest.sign(is_closing=True)

        assert tuple(each.fault for each in checked(*boot.written, *newest.written, later=False)) == faults


def test_clock_that_was_set_back_excuses_no_entry():
    boot, set_back = Boot(), Boot(2)
    boot.write()
    set_back.write()
    set_back.sign(is_closing=True)
    newest = Boot(3, at=START + timedelta(seconds=300))
    newest.write()
    newest.sign(is_closing=True)

    (finding,) = checked(*boot.written, *newest.written, *set_back.written, later=False)

    assert (finding.fault, finding.boot) == (BootFault.UNSIGNED, boot.id)


def test_entry_as_old_as_the_grace_may_still_be_signed_for():
    boot = Boot()
    boot.write()
    written = boot.at
    for more, faults in ((0, ()), (1, (BootFault.UNSIGNED,))):
        newest = Boot(2, at=written + timedelta(seconds=118 + more))
        newest.write()
        newest.sign(is_closing=True)

        assert tuple(each.fault for each in checked(*boot.written, *newest.written, later=False)) == faults


def test_forged_row_with_the_last_number_that_was_signed_for_is_named():
    boot = Boot()
    boot.write(2)
    boot.sign()
    forged = boot.seal(2)

    (finding,) = checked(*boot.written, forged)

    assert (finding.fault, finding.number, finding.entry) == (BootFault.FORGED, 2, forged.id)
    assert finding.why == TAKEN


def test_deleted_heartbeat_is_missed_by_its_number():
    boot = Boot()
    boot.sign(event=EventName.SERVICE_STARTED)
    boot.sign()
    boot.write()
    boot.sign()
    del boot.written[1]

    assert found(*boot.written) == (BootFault.MISSING, 2)


def test_first_of_several_numbers_that_are_missing_is_named_though_others_stand_before_it():
    boot = Boot()
    boot.write(2)
    boot.sign()
    boot.write(5)
    del boot.written[6]

    assert [each.node_seq for each in boot.written] == [1, 2, 3, 4, 5, 6, 8]
    assert found(*boot.written) == (BootFault.MISSING, 7)


def test_wrong_hash_over_evidence_alone_is_told_by_the_last_number_that_was_proven():
    boot = Boot()
    boot.write(2)
    boot.sign()
    stated = boot.seal(4, event=EventName.NODE_HEARTBEAT, detail=_stated(boot, 3, bytes(32)))

    assert found(*boot.written, sign_evidence(stated, boot.key.sign)) == (BootFault.CHANGED, 2)


def test_too_many_ways_to_choose_are_not_tried():
    boot = Boot()
    boot.write(13)
    boot.sign()
    *genuine, evidence = boot.written
    twins = [boot.seal(entry.node_seq) for entry in genuine]

    (finding,) = checked(*twins, *genuine, evidence)

    assert (finding.fault, finding.number) == (BootFault.CHANGED, 1)
    (finding,) = checked(*genuine, *twins, evidence)
    assert (finding.fault, finding.number, finding.entry) == (BootFault.FORGED, 1, twins[0].id)


def test_boot_that_closed_its_part_is_forgotten():
    boot, other = lived(), Boot(2)
    other.write()
    checks = BootChecks([NODE_KEY.verifying_key])
    for position, entry in enumerate([*other.written, *boot.written]):
        checks.observe(position, parse_entry(entry.content), entry.leaf_hash)

    assert list(checks._boots) == [other.id]


TAKEN = "has a number for which its node signed another entry"
BEHIND = "stands behind the end of its boot"


def closed():
    boot = Boot()
    boot.write()
    boot.sign(is_closing=True)
    return boot


def opened():
    boot = Boot(2)
    boot.sign(event=EventName.SERVICE_STARTED)
    return boot


def in_another_name(boot):
    boot.node = "node-2"
    return boot.seal(3)


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        (lambda boot: [*boot.written[:1], in_another_name(boot)], "names another node than the rest of its boot"),
        (lambda boot: [boot.seal(1), *boot.written], TAKEN),
        (lambda boot: [boot.written[0], boot.seal(1), boot.written[1]], TAKEN),
        (lambda boot: [*boot.written, boot.seal(1)], "was added to a boot that its node had closed"),
        (lambda boot: [boot.seal(3), *boot.written], BEHIND),
        (lambda boot: [boot.seal(2), *boot.written], BEHIND),
        (lambda boot: boot.written[1:], "its node wrote an entry with this number, and it is not there"),
        (lambda boot: boot.written[:1], "its boot has no key that a node certified"),
        (lambda _: [*opened().written, opened().seal(2)], "no evidence of its node covers it"),
    ],
)
def test_finding_says_what_is_wrong(entries, why):
    (finding,) = checked(*entries(closed()))

    assert finding.why == why


def test_evidence_without_a_key_says_so():
    boot = Boot(is_opened=True)
    boot.sign()

    (finding,) = checked(*boot.written)

    assert finding.why == "is no evidence of its node: its boot has no key that a node certified"
