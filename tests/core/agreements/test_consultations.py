import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.agreements import Matter, MatterKind, MatterState, Said, Speech, require_speech
from exchange.agreements.consultations import MOST_SAID
from exchange.kernel import ConflictError
from tests.core.agreements.worlds import DURING

MEMBERS = ("GBR", "NOR", "DNK")


def said(member: str, speech: Speech, text: str = "words") -> Said:
    return Said(member, f"{member} signatory", speech, text, DURING)


def matter(kind: MatterKind, *more: Said, members: tuple[str, ...] = MEMBERS) -> Matter:
    return Matter("m", "a", kind, members, None, (said("GBR", Speech.OPEN), *more))


@pytest.mark.parametrize("kind", MatterKind)
def test_it_is_open_until_another_member_answers(kind: MatterKind):
    assert matter(kind).state is MatterState.OPEN
    assert matter(kind, said("GBR", Speech.ANSWER)).state is MatterState.OPEN
    assert matter(kind, said("DNK", Speech.ANSWER)).state is MatterState.ANSWERED


def test_consultation_is_settled_by_whom_it_was_opened_alone():
    asked = matter(MatterKind.CONSULTATION, said("NOR", Speech.ANSWER))

    with pytest.raises(ConflictError) as refused:
        require_speech(asked, "NOR", Speech.SETTLE)

    assert refused.value.code == "not-yours-to-settle"
    assert refused.value.message == "a consultation is settled by the member that opened it"
    require_speech(asked, "GBR", Speech.SETTLE)
    require_speech(asked, "DNK", Speech.ANSWER)
    assert matter(MatterKind.CONSULTATION, said("GBR", Speech.SETTLE)).state is MatterState.SETTLED


def test_dispute_is_settled_by_the_same_words_of_all_its_members():
    words = [said(member, Speech.SETTLE, "a report a week from June on") for member in MEMBERS]

    assert matter(MatterKind.DISPUTE, *words[:2]).state is MatterState.ANSWERED
    assert matter(MatterKind.DISPUTE, *words).state is MatterState.SETTLED
    assert (
        matter(MatterKind.DISPUTE, *words[:2], said("DNK", Speech.SETTLE, "other words")).state is MatterState.ANSWERED
    )
    changed = said("NOR", Speech.SETTLE, "other words")
    assert matter(MatterKind.DISPUTE, *words[:2], changed, words[2]).state is MatterState.ANSWERED
    require_speech(matter(MatterKind.DISPUTE, *words[:2]), "DNK", Speech.SETTLE)


@pytest.mark.parametrize("speech", [Speech.ANSWER, Speech.SETTLE])
def test_what_is_settled_is_final(speech: Speech):
    settled = matter(MatterKind.CONSULTATION, said("GBR", Speech.SETTLE))

    with pytest.raises(ConflictError) as refused:
        require_speech(settled, "GBR", speech)

    assert refused.value.code == "settled"
    assert refused.value.message == "the consultation is settled: open another one"


def test_last_words_that_a_member_has_are_to_settle_it_by():
    spoken = matter(MatterKind.DISPUTE, *[said("NOR", Speech.ANSWER)] * (MOST_SAID - 1))

    with pytest.raises(ConflictError) as refused:
        require_speech(spoken, "NOR", Speech.ANSWER)

    assert refused.value.code == "too-much-said"
    assert refused.value.message == (
        f"your member has said {MOST_SAID - 1} times something here: settle it, or open another one"
    )
    require_speech(spoken, "NOR", Speech.SETTLE)
    require_speech(spoken, "DNK", Speech.ANSWER)
    require_speech(matter(MatterKind.DISPUTE, *[said("NOR", Speech.ANSWER)] * (MOST_SAID - 2)), "NOR", Speech.ANSWER)
    with pytest.raises(ConflictError, match=f"said {MOST_SAID} times"):
        require_speech(matter(MatterKind.DISPUTE, *[said("NOR", Speech.SETTLE)] * MOST_SAID), "NOR", Speech.SETTLE)


speeches = st.lists(
    st.builds(said, st.sampled_from(MEMBERS), st.sampled_from((Speech.ANSWER, Speech.SETTLE)), st.sampled_from("ab")),
    max_size=8,
)


@given(st.sampled_from(MatterKind), speeches)
def test_a_naive_reader_of_the_words_finds_the_same_state(kind: MatterKind, more: list[Said]):
    last: dict[str, str] = {}
    others_spoke = False
    for each in more:
        others_spoke |= each.member != "GBR"
        if each.speech is Speech.SETTLE:
            last[each.member] = each.text
    needed = ["GBR"] if kind is MatterKind.CONSULTATION else list(MEMBERS)
    words = [last.get(member) for member in needed]
    is_settled = None not in words and all(each == words[0] for each in words)
    expected = "settled" if is_settled else "answered" if others_spoke else "open"

    assert matter(kind, *more).state.value == expected
