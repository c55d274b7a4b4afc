"""What a rule remembers: it comes back from its text, and no further than it goes."""

import json

import pytest

from exchange.audit.alerts import MassPulls, memory
from exchange.audit.alerts.memory import Mark, Memory
from tests.core.audit.alerts.rows import entry, rules, run

SEEN = {bytes([number]) * 6 for number in range(3)}
WHOLE = Memory(told=7, marks=[Mark("word", 5, "e-1")], day=20, first=11, seen=SEEN, counts={18: 4, 19: 2})


@pytest.mark.parametrize("kept", [WHOLE, Memory()])
def test_memory_comes_back_from_its_text(kept):
    assert Memory.of(kept.text()) == kept


def test_text_with_a_character_that_is_none_of_base64_is_nothing_remembered():
    text = WHOLE.text()
    (seen,) = [part for part in text.split('"') if part.startswith("AAAA")]

    assert Memory.of(text.replace(seen, f"!{seen}")) == Memory()


@pytest.mark.parametrize(
    ("part", "written"),
    [
        ('"told":7', '"told":1e308'),
        ('"told":7', '"told":true'),
        ('["word",5,', '["word",1e308,'),
        ('"day":20', '"day":1e308'),
        ('"day":20', '"day":10'),
        ('"first":11', '"first":-1'),
        ("[18,4]", "[18,-1]"),
        ("[18,4]", "[1e308,4]"),
    ],
)
def test_numbers_that_no_rule_counted_are_nothing_remembered(part, written):
    text = WHOLE.text()
    assert text.count(part) == 1

    assert Memory.of(text.replace(part, written)) == Memory()


@pytest.mark.parametrize("written", [{"first": 99_999, "counts": [[20_000, 4]]}, {"marks": [["", 1e308, ""]]}])
def test_what_somebody_wrote_into_a_memory_ends_no_evaluation(written):
    pulled = rules(MassPulls(1, 2, 30))
    (key,) = (remembered := run(pulled, [entry(1)])[1])
    text = json.dumps({**json.loads(remembered[key]), **written})

    assert len(run(pulled, [entry(2)], {key: text})[0]) == 1


def test_what_is_seen_beyond_the_most_is_told_apart_no_more(monkeypatch):
    monkeypatch.setattr(memory, "MOST_SEEN", 2)
    kept = Memory()

    assert [kept.see(name) for name in ("a", "b", "a", "c")] == [True, True, False, False]
    assert len(kept.seen) == 2


@pytest.mark.parametrize(("baseline", "days"), [(1, {19}), (2, {18, 19}), (9, {18, 19})])
def test_days_of_the_baseline_are_remembered(baseline, days):
    kept = Memory.of(WHOLE.text())
    kept.turn_to(20, baseline_days=baseline)

    assert (kept.counts.keys(), kept.seen) == (days, SEEN)
