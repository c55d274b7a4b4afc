"""What nodes signed, and personal data that is gone, as the whole verification tells it."""

import base64
from datetime import timedelta

import pytest

from exchange.audit import Actor, EntryDraft, EventName, Outcome, Subject, parse_entry, seal_entry
from exchange.audit.verify import PersonalKeyState, Step
from exchange.kernel import canonical_bytes, new_id
from tests.core.audit.boots import NODE_KEY, Boot, key
from tests.core.audit.verify.worlds import SECOND, START, World, content

KEYS = (NODE_KEY.verifying_key,)


def logged(*boots, later=True):
    """A log of these boots; `later` another one follows, long after, so that all before it had their time."""
    if later:
        after = Boot(99, at=START + timedelta(hours=1))
        after.write()
        after.sign(is_closing=True)
        boots = (*boots, after)
    world = World()
    for boot in boots:
        world.append(*(entry.content for entry in boot.written), at=boot.at)
    return world


def lived(number=1):
    boot = Boot(number)
    boot.sign(event=EventName.SERVICE_STARTED)
    boot.write(3)
    boot.sign()
    boot.write(2)
    boot.sign(is_closing=True, event=EventName.SERVICE_STOPPED)
    return boot


def told(verification):
    return [(each.step, each.position) for each in verification.findings]


def test_boots_that_nodes_signed_are_sound():
    verification = logged(lived(1), lived(2)).verify(node_keys=KEYS)

    assert verification.is_sound, verification.findings
    assert verification.notes == ()


def test_without_keys_nobody_looks_and_a_note_says_so():
    boot = lived()
    del boot.written[2]

    verification = logged(boot).verify()

    assert verification.is_sound
    assert verification.notes == (
        "no key of a node was given: whether the nodes signed for their entries was not looked at",
    )


def test_deleted_entry_in_a_tree_rebuilt_and_signed_anew_is_noticed_by_its_number():
    boot = lived()
    del boot.written[2]

    (finding,) = logged(boot).verify(node_keys=KEYS).findings

    assert (finding.step, finding.place) == (Step.COUNTERS, f"boot {boot.id}")
    assert finding.why.startswith(f"number 3 of boot {boot.id}")


def test_deleted_entry_whose_place_was_filled_is_noticed_by_the_heartbeat():
    boot = lived()
    boot.written[2] = boot.seal(3, purpose="other")

    log = logged(boot)
    verification = log.verify(node_keys=KEYS)

    assert told(verification) == [(Step.HEARTBEATS, 1)]
    (finding,) = verification.findings
    assert (finding.place, finding.entry) == ("entry 1", parse_entry(log.contents[1])["id"])


def test_forged_row_of_a_boot_of_its_own_is_noticed():
    forger = Boot(7)
    forger.write()

    assert told(logged(lived(), forger).verify(node_keys=KEYS)) == [(Step.HEARTBEATS, 8)]


def test_boot_of_a_node_that_is_not_known_is_noticed():
    assert told(logged(lived()).verify(node_keys=(key(66).verifying_key,))) == [(Step.COUNTERS, 0)]


def test_process_that_was_killed_is_a_note():
    boot = Boot()
    boot.write(2)
    boot.sign()
    boot.write(3)

    verification = logged(boot).verify(node_keys=KEYS)

    assert verification.is_sound
    assert verification.notes == (f"boot {boot.id} was killed: nobody signed for its entries from number 4 on",)


def test_boot_that_was_killed_hides_no_boot_with_a_fault_and_none_hides_another():
    killed, first, second = Boot(), lived(2), lived(3)
    killed.sign()
    killed.write()
    del first.written[2], second.written[2]

    verification = logged(killed, first, second).verify(node_keys=KEYS)

    assert [each.place for each in verification.findings] == [f"boot {first.id}"]
    assert (verification.counts, len(verification.notes)) == ({Step.COUNTERS: 2}, 1)


@pytest.mark.parametrize(
    ("later", "findings"),
    [(timedelta(seconds=5), []), (timedelta(seconds=5, microseconds=1), [(Step.HEARTBEATS, 3)])],
)
def test_entries_long_after_the_last_heartbeat_are_a_finding(later, findings):
    boot = Boot()
    boot.write(2)
    boot.sign()
    boot.at += later - SECOND
    boot.write()

    assert told(logged(boot).verify(node_keys=KEYS)) == findings


def test_heartbeat_that_nobody_signed_buys_a_killed_boot_no_time():
    boot = Boot()
    boot.write(2)
    boot.sign()
    boot.at += timedelta(minutes=5)
    boot.write()
    boot.written.append(boot.seal(5, event=EventName.NODE_HEARTBEAT, detail={"upto": 4, "state": "running"}))

    assert told(logged(boot).verify(node_keys=KEYS)) == [(Step.HEARTBEATS, 3)]


def test_last_entry_set_back_hides_no_later_one_of_a_killed_boot():
    boot = Boot()
    boot.write(2)
    boot.sign()
    boot.at += timedelta(minutes=5)
    boot.write()
    boot.at -= timedelta(minutes=5)
    boot.write()
    boot.at += timedelta(minutes=5)

    assert told(logged(boot).verify(node_keys=KEYS)) == [(Step.HEARTBEATS, 3)]


# ── erased ────────────────────────────────────────────────────────────────────────────────────────────────────────


def personal(number, kid):
    """An entry with personal data under a key."""
    entry = {**parse_entry(content(number)), "pii": {"kid": kid, "ciphertext": base64.b64encode(b"x" * 32).decode()}}
    return canonical_bytes(entry)


def erasure(number, subject="desk", period="2026-01", outcome=Outcome.PERMITTED, **fields):
    """The entry of an erasure."""
    at = START + number * SECOND
    of_whom = None if subject is None else Subject("client", subject)
    given = {"subject": of_whom, "detail": {"period": period, "keys": 1}, **fields}
    draft = EntryDraft(
        outcome=outcome, at=at, actor=Actor("client"), request_id="r", source="local",
        **{"event": EventName.PERSONAL_ERASED, **given},
    )  # fmt: skip
    place = {"node": "n1", "boot": new_id(START, bytes), "node_seq": number}
    return seal_entry(draft, entry_id=new_id(at, number.to_bytes), **place).content


def restored(number, *again, **fields):
    """The entry of a restore that erased again what is named."""
    return erasure(number, event=EventName.INSTANCE_RESTORED, **{"detail": {"erased": list(again)}, **fields})


def with_keys(*contents, is_destroyed=True):
    world = World()
    world.append(*contents)
    world.keys = {
        "k0": PersonalKeyState("desk", "2026-01", is_destroyed),
        "k1": PersonalKeyState("desk", "2026-01", is_destroyed),
        "k2": PersonalKeyState("x", "2026-01", False),
    }
    return world


def test_erasure_that_two_persons_approved_passes_and_is_told():
    verification = with_keys(personal(0, "k1"), personal(1, "k1"), personal(2, "k2"), erasure(3)).verify(node_keys=())

    assert verification.is_sound
    assert "personal data of 2 entries is erased" in verification.notes


@pytest.mark.parametrize(
    "approval",
    [
        content(3),
        erasure(3, subject="other"),
        erasure(3, period="2026-02"),
        erasure(3, outcome=Outcome.REFUSED),
        erasure(3, subject=None),
        erasure(3, detail={}),
        erasure(3, detail={"period": 1, "keys": 1}),
        erasure(3, detail={"period": ["2026-01"], "keys": 1}),
        erasure(3, detail={"period": "2026-01"}),
        erasure(3, detail={"period": "2026-01", "keys": "1"}),
        erasure(3, detail={"period": "2026-01", "keys": 0}),
        restored(3),
        restored(3, "desk 2026-02"),
        restored(3, detail={}),
        restored(3, detail={"erased": "desk 2026-01"}),
    ],
)
def test_key_that_is_gone_without_an_approved_erasure_is_named(approval):
    log = with_keys(personal(0, "k2"), personal(1, "k1"), personal(2, "k1"), approval)

    (finding,) = log.verify().findings

    assert (finding.step, finding.position) == (Step.ERASURE, 1)
    assert finding.entry == log.rows[1].columns.id


def test_key_that_went_beside_those_of_an_approved_erasure_is_named():
    """Whoever was erased once may not be erased again by one alone."""
    log = with_keys(personal(0, "k1"), personal(1, "k1"), erasure(2), personal(3, "k0"), personal(4, "k0"))

    (finding,) = log.verify().findings

    assert (finding.step, finding.position) == (Step.ERASURE, 3)
    assert finding.why.endswith("more are gone than approved erasures destroyed")


@pytest.mark.parametrize(
    "approvals",
    [
        (erasure(2), erasure(4)),
        (erasure(4, detail={"period": "2026-01", "keys": 2}),),
        (restored(4, "x", "desk 2026-01"),),
    ],
    ids=["each by its own", "both by one", "again by a restore"],
)
def test_every_key_that_an_erasure_destroyed_is_approved(approvals):
    log = with_keys(personal(0, "k1"), personal(1, "k0"), *approvals)

    assert log.verify().is_sound


def test_erasure_after_a_recovery_is_told_by_the_log_that_came_after():
    later = with_keys(erasure(5)).verify()
    log = with_keys(personal(0, "k1"), personal(1, "k2"))

    assert later.erasures == {("desk", "2026-01"): 1}
    assert told(log.verify()) == [(Step.ERASURE, 0)]
    assert log.verify(erasures=later.erasures).is_sound


def test_key_of_which_nothing_is_known_is_named():
    unknown, unapproved = with_keys(personal(0, "k3"), erasure(1)), with_keys(personal(0, "k1"))

    for (finding,) in (unknown.verify().findings, unapproved.verify().findings):
        assert (finding.step, finding.place) == (Step.ERASURE, "entry 0")
        assert finding.why.endswith("is gone, and no erasure that two persons approved is in the log")


def test_keys_that_are_there_say_nothing():
    verification = with_keys(personal(0, "k1"), is_destroyed=False).verify()

    assert verification.is_sound
    assert not any("erased" in note for note in verification.notes)


def test_source_without_keys_is_not_asked():
    log = with_keys(personal(0, "k1"))
    log.keys = None

    assert log.verify().is_sound
