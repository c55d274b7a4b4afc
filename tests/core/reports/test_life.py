import hashlib
from dataclasses import replace
from datetime import timedelta

import pytest

from exchange.kernel import ConflictError, InvalidError
from exchange.reports import (
    Downgrade,
    Precedence,
    ReportAct,
    ReportStatus,
    amended,
    declassified,
    downgraded,
    require_act,
    require_place,
    version_digest,
)
from tests.core.reports.worlds import ID, LATER, RESTRICTED, SECRET, TOP_SECRET, UNCLASSIFIED, compose, rank

CONFIDENTIAL = replace(SECRET, classification="CONFIDENTIAL")


def dominates(upper, lower):
    return rank(upper) >= rank(lower)


def of(label, *part_labels):
    made = compose()
    part = made.parts[0]
    parts = tuple(
        replace(part, number=number, label=part_label, sha256=f"{number:064x}", name=f"{number}.txt")
        for number, part_label in enumerate(part_labels, start=1)
    )
    return replace(made, label=label, parts=parts)


RELEASERS = "only the originator's releaser lowers it, by a downgrade"
# What is said of a fault, by its place and its code.
SAID = {
    ("/label", "below-current"): f"is lower than it was: {RELEASERS}",
    ("/parts/0/label", "below-current"): f"is lower than it was: {RELEASERS}",
    ("/parts/1/label", "below-current"): f"is lower than it was: {RELEASERS}",
    ("/declassify_on", "below-current"): f"would become lower on an earlier day: {RELEASERS}",
    ("/label", "not-lower"): "is not lower than the report's label: raise it by an amendment",
    ("/label", "unchanged"): "is what the report is marked with already",
    ("/part_labels", "wrong-count"): "the report has 2 parts: give a label, or null, for each",
    ("/part_labels/0", "above-report"): "part 1 would exceed the report's new label",
    ("/part_labels/1", "not-lower"): "part 2 would not become lower: name its label",
}


def faults(act, *given, **named):
    with pytest.raises(InvalidError) as refused:
        act(*given, **named)
    found, whole = refused.value.faults, ("an amendment cannot lower a marking", "the report cannot be downgraded so")
    assert refused.value.message == whole[act is downgraded]
    assert [fault.message for fault in found] == [SAID[fault.pointer, fault.code] for fault in found]
    return [(fault.pointer, fault.code) for fault in found]


# ── what may be done ───────────────────────────────────────────────────────────────────────────────────────────────────


WHAT_MAY_BE_DONE = {
    "current": {"AMEND", "SUPERSEDE", "DOWNGRADE", "RELEASE", "RECALL"},
    "superseded": {"SUPERSEDE", "DOWNGRADE", "RELEASE", "RECALL"},
    "expired": {"SUPERSEDE", "RECALL"},
    "recalled": set(),
}
DONE = {
    "AMEND": "amended",
    "SUPERSEDE": "superseded",
    "DOWNGRADE": "downgraded",
    "RELEASE": "released onward",
    "RECALL": "recalled",
}


def test_every_status_and_every_act_is_in_the_table():
    assert {status.value for status in ReportStatus} == set(WHAT_MAY_BE_DONE)
    assert {act.name for act in ReportAct} == set(DONE)


@pytest.mark.parametrize("status", WHAT_MAY_BE_DONE)
@pytest.mark.parametrize("act", DONE)
def test_act_is_refused_with_the_status_as_its_code(status, act):
    if act in WHAT_MAY_BE_DONE[status]:
        require_act(ReportStatus(status), ReportAct[act])
        return
    with pytest.raises(ConflictError, match=f"^the report is {status}: it cannot be {DONE[act]}$") as refused:
        require_act(ReportStatus(status), ReportAct[act])

    assert refused.value.code == status


NOT_FREE = {
    "superseded": "the report is superseded: supersede the one that took its place",
    "expired": "the report has ended: its keys are destroyed already",
    "recalled": "the report is recalled: it cannot be superseded",
}


@pytest.mark.parametrize(
    ("stored", "taken_by", "code"),
    [
        ("current", None, None),
        ("current", "y", "superseded"),
        ("superseded", None, None),
        ("superseded", "y", "superseded"),
        ("expired", None, "expired"),
        ("expired", "y", "expired"),
        ("recalled", None, "recalled"),
        ("recalled", "y", "recalled"),
    ],
)
def test_place_is_free_where_the_report_is_there_and_nothing_has_taken_it(stored, taken_by, code):
    if code is None:
        require_place(ReportStatus(stored), taken_by)
        return
    with pytest.raises(ConflictError) as refused:
        require_place(ReportStatus(stored), taken_by)

    assert refused.value.code == code
    assert getattr(refused.value, "by", taken_by) == taken_by
    assert refused.value.message == NOT_FREE[code]


# ── amendments ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_amendment_keeps_id_time_and_links_and_counts_on():
    before = replace(of(SECRET, SECRET), version=3, supersedes="x")
    after = amended(before, replace(of(SECRET, SECRET), id="y", posted_at=LATER, subject="new"), dominates=dominates)

    assert (after.id, after.version, after.posted_at, after.supersedes) == (before.id, 4, before.posted_at, "x")
    assert after.subject == "new"


@pytest.mark.parametrize(("was", "will"), [(was, will) for was in Precedence for will in Precedence])
def test_amendment_makes_nothing_more_urgent(was, will):
    before, after = (replace(compose(), precedence=each) for each in (was, will))
    order = list(Precedence)
    if order.index(will) <= order.index(was):
        assert amended(before, after, dominates=dominates).precedence is will
        return

    with pytest.raises(InvalidError, match="cannot make a report more urgent") as refused:
        amended(before, after, dominates=dominates)

    (fault,) = refused.value.faults
    assert (fault.pointer, fault.code) == ("/precedence", "above-current")
    assert fault.message == f"is more urgent than it was, `{was.value}`: supersede it by a report of its own"


def test_amendment_is_told_of_all_that_it_cannot_do():
    before = of(SECRET, SECRET)
    after = replace(of(RESTRICTED, RESTRICTED), precedence=Precedence.FLASH)
    with pytest.raises(InvalidError, match="cannot lower a marking") as refused:
        amended(before, after, dominates=dominates)

    assert [fault.pointer for fault in refused.value.faults] == ["/label", "/parts/0/label", "/precedence"]


def test_amendment_may_raise_and_never_lower():
    assert amended(of(RESTRICTED, RESTRICTED), of(SECRET, SECRET), dominates=dominates).label == SECRET
    assert faults(amended, of(SECRET, SECRET), of(RESTRICTED, RESTRICTED), dominates=dominates) == [
        ("/label", "below-current"),
        ("/parts/0/label", "below-current"),
    ]


DAY = LATER.date()


@pytest.mark.parametrize(
    ("before", "after", "is_sooner"),
    [
        (None, DAY, True),
        (DAY, DAY - timedelta(days=1), True),
        (DAY, DAY, False),
        (DAY, DAY + timedelta(days=1), False),
        (DAY, None, False),
        (None, None, False),
    ],
)
def test_amendment_brings_no_declassification_forward(before, after, is_sooner):
    held, wanted = (replace(of(SECRET, SECRET), declassify_on=day) for day in (before, after))

    if is_sooner:
        assert faults(amended, held, wanted, dominates=dominates) == [("/declassify_on", "below-current")]
    else:
        assert amended(held, wanted, dominates=dominates).declassify_on == after


def test_part_with_new_content_is_marked_anew_and_one_with_old_content_is_not_lowered():
    before = of(SECRET, SECRET)
    new = replace(before, parts=(replace(before.parts[0], label=RESTRICTED, sha256="f" * 64),))
    old = replace(before, parts=(*new.parts, replace(before.parts[0], label=RESTRICTED)))

    assert amended(before, new, dominates=dominates).parts == new.parts
    renamed = replace(before, parts=(replace(before.parts[0], label=RESTRICTED, name="copy.txt"),))
    assert faults(amended, before, renamed, dominates=dominates) == [("/parts/0/label", "below-current")]
    assert faults(amended, before, old, dominates=dominates) == [("/parts/1/label", "below-current")]


@pytest.mark.parametrize("labels", [(RESTRICTED, SECRET), (SECRET, RESTRICTED)])
def test_content_that_stands_twice_is_held_to_the_label_of_each(labels):
    before = of(SECRET, *labels)
    before = replace(before, parts=tuple(replace(part, sha256="e" * 64) for part in before.parts))
    (place,) = [index for index, label in enumerate(labels) if label is SECRET]
    low = [replace(part, label=RESTRICTED) for part in before.parts]
    renamed = [*before.parts, replace(low[0], name="copy.txt", number=3)]

    assert amended(before, before, dominates=dominates).parts == before.parts
    assert amended(before, replace(before, parts=tuple(renamed)), dominates=dominates).parts == tuple(renamed)
    assert faults(amended, before, replace(before, parts=tuple(low)), dominates=dominates) == [
        (f"/parts/{place}/label", "below-current")
    ]


# ── downgrades ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_downgrade_lowers_what_is_higher_and_leaves_the_rest():
    made = downgraded(of(SECRET, SECRET, UNCLASSIFIED), Downgrade(RESTRICTED), dominates=dominates)

    assert made.version == 2
    assert (made.label, [part.label for part in made.parts]) == (RESTRICTED, [RESTRICTED, UNCLASSIFIED])


def test_downgrade_takes_a_label_for_each_part():
    wanted = Downgrade(CONFIDENTIAL, (RESTRICTED, None))
    made = downgraded(of(SECRET, SECRET, SECRET), wanted, dominates=dominates)

    assert [part.label for part in made.parts] == [RESTRICTED, CONFIDENTIAL]


def test_parts_alone_may_be_lowered():
    made = downgraded(of(SECRET, SECRET), Downgrade(SECRET, (RESTRICTED,)), dominates=dominates)

    assert (made.label, made.parts[0].label) == (SECRET, RESTRICTED)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Downgrade(TOP_SECRET), [("/label", "not-lower")]),
        (Downgrade(SECRET), [("/label", "unchanged")]),
        (Downgrade(RESTRICTED, ()), [("/part_labels", "wrong-count")]),
        (Downgrade(RESTRICTED, (CONFIDENTIAL, None)), [("/part_labels/0", "above-report")]),
        (Downgrade(SECRET, (None, SECRET)), [("/part_labels/1", "not-lower")]),
        (Downgrade(CONFIDENTIAL, (None, None)), [("/part_labels/1", "not-lower")]),
    ],
)
def test_what_is_no_downgrade_is_refused(wanted, found):
    assert faults(downgraded, of(SECRET, SECRET, RESTRICTED), wanted, dominates=dominates) == found


# ── digests ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"label": RESTRICTED},
        {"originator": "NOR"},
        {"valid_until": LATER},
        {"posted_at": LATER},
        {"id": "01980000-0000-7000-8000-000000000009"},
    ],
)
def test_digest_changes_with_what_it_names(change):
    made = replace(of(SECRET, SECRET), valid_until=None)

    assert version_digest(replace(made, **change)) != version_digest(made)
    assert len(version_digest(made)) == 64


def test_digest_changes_with_a_part_and_not_with_what_could_be_guessed():
    made = of(SECRET, SECRET)
    other = replace(made, parts=(replace(made.parts[0], sha256="e" * 64),))

    assert version_digest(other) != version_digest(made)
    assert version_digest(replace(made, subject="x")) == version_digest(made)


def test_digest_is_the_one_that_a_member_computes_again():
    """Written out: the log names versions by it, and whoever was given one computes it without this code."""
    made = of(SECRET, RESTRICTED)
    label = '"compartments":[],"handling":["ORCON"],"policy":"NATO","releasable_to":["GBR","NOR"]}'
    lower = label.replace('"ORCON"', "")
    head = f'{{"id":"{ID}","label":{{"classification":"SECRET",{label},"originator":"GBR",'
    parts = f'"parts":[{{"label":{{"classification":"RESTRICTED",{lower},"sha256":"{1:064x}"}}],'
    for valid_until, shown in ((LATER, '"2027-01-01T00:00:00Z"'), (None, "null")):
        tail = f'"posted_at":"2026-06-01T12:00:00Z","valid_until":{shown},"version":1}}'

        expected = hashlib.sha256((head + parts + tail).encode()).hexdigest()
        assert version_digest(replace(made, valid_until=valid_until)) == expected


def test_declassified_report_is_its_next_version_with_no_day_left():
    before = replace(of(SECRET, SECRET, RESTRICTED), declassify_on=LATER.date())
    made = declassified(before, lambda label: replace(label, classification="UNCLASSIFIED"))

    assert (made.version, made.declassify_on) == (2, None)
    assert {label.classification for label in (made.label, *(part.label for part in made.parts))} == {"UNCLASSIFIED"}
    assert [part.sha256 for part in made.parts] == [part.sha256 for part in before.parts]
