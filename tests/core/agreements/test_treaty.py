"""Texts of agreements: one digest, signatures that name everything, and an offline verifier that finds each fault."""

import dataclasses
from datetime import UTC, datetime

import pytest

from exchange.agreements import (
    TAKING_BACK_PURPOSE,
    AgreementState,
    CrisisClause,
    KeptText,
    OlderReports,
    PartyState,
    SignatoryKey,
    SignedText,
    clause_of,
    is_signed,
    proven,
    sign,
    state_of,
    take_back,
    text_of,
    verify_texts,
    with_proven_texts,
)
from exchange.agreements.treaty import statement_of
from exchange.crypto import CryptoError, ObjectSigningKey
from exchange.kernel import canonical_bytes
from tests.core.agreements.worlds import DURING, SIGNED_AT, agreement, signature_of

P, S, U, W = PartyState.PENDING, PartyState.SIGNED, PartyState.SUSPENDED, PartyState.WITHDRAWN
OTHER_KEY = ObjectSigningKey.new(lambda count: b"o" * count)
FIRST = dataclasses.replace(agreement((S, S, S)), version=1)
TEXT = text_of(FIRST)


def signed(given=FIRST, *, members=("GBR", "NOR", "DNK"), **changes):
    parties = tuple(
        dataclasses.replace(
            party,
            signature=dataclasses.replace(signature_of(given, party.member, SIGNED_AT), **changes)
            if party.member in members
            else None,
        )
        for party in given.parties
    )
    return dataclasses.replace(given, parties=parties)


def test_text_is_canonical_and_its_digest_covers_all_of_it():
    others = [
        dataclasses.replace(TEXT, edition=2),
        dataclasses.replace(TEXT, previous="0" * 64),
        dataclasses.replace(TEXT, agreement="b"),
        dataclasses.replace(TEXT, terms={**TEXT.terms, "title": "another"}),
    ]

    assert TEXT.canonical == canonical_bytes(
        {"agreement": "a", "edition": 1, "format": 1, "previous": None, "terms": TEXT.terms}
    )
    assert len({TEXT.digest, *(each.digest for each in others)}) == 5


def test_signature_counts_under_this_text_for_this_member_by_this_signatory():
    signature = signature_of(FIRST, "NOR", SIGNED_AT)

    assert is_signed(TEXT, TEXT.digest, signature)
    for change in (
        {"member": "GBR"},
        {"signatory": "another"},
        {"text": "0" * 64},
        {"key": OTHER_KEY.verifying_key},
    ):
        assert is_signed(TEXT, TEXT.digest, dataclasses.replace(signature, **change)) is False
    later = dataclasses.replace(TEXT, edition=2)
    assert not is_signed(later, later.digest, dataclasses.replace(signature, text=later.digest))


def test_statement_that_is_signed_is_canonical_and_names_all_of_it():
    # Whoever verifies elsewhere builds the same bytes.
    expected = canonical_bytes(
        {"agreement": "a", "edition": 1, "format": 1, "member": "NOR", "signatory": "Kari", "text": TEXT.digest}
    )

    assert statement_of(TEXT, TEXT.digest, member="NOR", signatory="Kari") == expected


def test_signature_is_for_agreements_and_for_nothing_else():
    made = signature_of(FIRST, "NOR", SIGNED_AT)
    statement = statement_of(TEXT, TEXT.digest, member="NOR", signatory="NOR signatory")

    assert made.key.verify(made.signature, statement, purpose="agreement") is None
    with pytest.raises(CryptoError):
        made.key.verify(made.signature, statement, purpose="report")


def test_what_takes_a_signature_back_is_none_and_none_takes_itself_back():
    given = signature_of(FIRST, "NOR", SIGNED_AT)
    made = take_back(TEXT, OTHER_KEY, member="NOR", signatory=given.signatory)
    back = dataclasses.replace(given, key=OTHER_KEY.verifying_key, signature=made)

    assert is_signed(TEXT, TEXT.digest, back, purpose=TAKING_BACK_PURPOSE)
    assert not is_signed(TEXT, TEXT.digest, back)
    assert not is_signed(TEXT, TEXT.digest, given, purpose=TAKING_BACK_PURPOSE)


def test_signing_keeps_the_signatures_before_it():
    draft = dataclasses.replace(agreement((P, P, P)), version=1)
    first, second = (signature_of(draft, member, SIGNED_AT) for member in ("GBR", "DNK"))
    both = sign(sign(draft, first), second)

    assert [party.signature for party in both.parties] == [first, None, second]
    assert [party.signed_at for party in both.parties] == [SIGNED_AT, None, SIGNED_AT]


def test_agreement_is_in_force_by_signatures_and_not_by_what_is_written_down():
    by_all = signed()

    assert proven(by_all) == by_all
    assert state_of(by_all, DURING) is AgreementState.IN_FORCE
    assert state_of(FIRST, DURING) is AgreementState.IN_FORCE
    assert state_of(proven(FIRST), DURING) is AgreementState.DRAFT
    assert {(party.state, party.signed_at) for party in proven(FIRST).parties} == {(P, None)}


@pytest.mark.parametrize(
    "given",
    [
        signed(members=("GBR", "NOR")),
        signed(key=OTHER_KEY.verifying_key),
        signed(text="0" * 64),
        dataclasses.replace(signed(), terms=dataclasses.replace(FIRST.terms, title="another")),
        dataclasses.replace(signed(), edition=2),
        # each carries the signature of another one
        dataclasses.replace(
            FIRST,
            parties=tuple(
                dataclasses.replace(party, signature=signature_of(FIRST, other, SIGNED_AT))
                for party, other in zip(FIRST.parties, ("NOR", "DNK", "GBR"), strict=True)
            ),
        ),
    ],
)
def test_altered_agreement_is_not_in_force(given):
    assert state_of(proven(given), DURING) is AgreementState.DRAFT


def chain(*titles):
    """Return an agreement of as many editions, and the texts before the last one as they are kept."""
    kept, previous = [], None
    for edition, title in enumerate(titles, start=1):
        now = dataclasses.replace(
            FIRST, terms=dataclasses.replace(FIRST.terms, title=title), edition=edition, previous=previous
        )
        kept.append(KeptText(edition, previous, now.terms))
        previous = text_of(now).digest
    return now, kept[:-1]


def test_texts_before_are_those_that_the_signed_ones_name():
    third, kept = chain("one", "two", "three")

    assert [terms.title for terms in with_proven_texts(third, reversed(kept)).texts] == ["one", "two", "three"]
    assert with_proven_texts(FIRST, kept) == FIRST
    # One of several that were kept: whichever the digest names.
    altered = dataclasses.replace(kept[0], terms=dataclasses.replace(kept[0].terms, title="another"))
    assert with_proven_texts(third, (altered, *kept)).earlier == tuple(each.terms for each in kept)


@pytest.mark.parametrize(
    ("number", "changes", "silent"),
    [
        (0, {"terms": dataclasses.replace(FIRST.terms, title="another")}, [1]),
        (1, {"terms": dataclasses.replace(FIRST.terms, title="another")}, [1, 2]),
        (1, {"previous": "0" * 64}, [1, 2]),
        (0, {"previous": "0" * 64}, [1]),
        (0, {"edition": 2}, [1]),
        (1, {"edition": 9}, [1, 2]),
    ],
)
def test_altered_text_names_nobody_and_neither_does_any_before_it(number, changes, silent):
    third, kept = chain("one", "two", "three")
    kept[number] = dataclasses.replace(kept[number], **changes)
    texts = with_proven_texts(third, kept).texts

    assert [edition for edition, terms in enumerate(texts, start=1) if not terms.scopes] == silent
    assert [edition for edition, terms in enumerate(texts, start=1) if not terms.parties] == silent
    assert clause_of(texts, "cyber-threats", 1) is None
    assert clause_of(texts, "cyber-threats", 3) is not None


def test_text_of_another_number_stands_in_for_none():
    _, kept = chain("one", "two", "three")
    first = text_of(dataclasses.replace(FIRST, terms=kept[0].terms))
    over_one = dataclasses.replace(FIRST, edition=3, previous=first.digest)

    assert [bool(terms.scopes) for terms in with_proven_texts(over_one, kept).texts] == [False, False, True]


def test_text_that_is_not_there_owes_nothing_and_reaches_nothing():
    third, _ = chain("one", "two", "three")
    clause = CrisisClause("storm", "cyber-threats", "TOP SECRET", (), "PT1H", ())
    terms = dataclasses.replace(third.terms, older_reports=OlderReports.INCLUDED, crisis=(clause,))
    earlier = with_proven_texts(dataclasses.replace(third, terms=terms), ()).earlier

    assert terms.obligations
    assert [(each.obligations, each.crisis, each.older_reports) for each in earlier] == [
        ((), (), OlderReports.EXCLUDED)
    ] * 2


def test_moment_alone_is_no_signature():
    """INVARIANT: a party that stands as unsigned has not signed, whatever moment it bears."""
    first, *others = agreement((P, S, S)).parties
    stamped = dataclasses.replace(first, signed_at=SIGNED_AT)

    assert state_of(dataclasses.replace(FIRST, parties=(stamped, *others)), DURING) is AgreementState.DRAFT


def test_what_was_taken_back_with_a_draft_stays_taken_back():
    left = signed(dataclasses.replace(agreement((S, P, W)), version=1))
    left = dataclasses.replace(left, parties=(*left.parties[:2], dataclasses.replace(left.parties[2], signed_at=None)))

    assert proven(left).parties[2] == dataclasses.replace(left.parties[2], signature=None)
    assert state_of(proven(left), DURING) is AgreementState.WITHDRAWN


def test_moment_of_a_signature_is_the_signature_s():
    moved = signed(dataclasses.replace(agreement((S, U, S), signed_at=datetime(2020, 1, 1, tzinfo=UTC)), version=1))

    assert {party.signed_at for party in proven(moved).parties} == {SIGNED_AT}


# ── offline ─────────────────────────────────────────────────────────────────────────────────────────────────────────


SECOND = dataclasses.replace(FIRST, edition=2, previous=TEXT.digest)


def member_key(name):
    return ObjectSigningKey.new(lambda count: hash_of(name, count))


def hash_of(name, count):
    return (name.encode() * count)[:count]


def proof(given, **changes):
    made = tuple(signature_of(given, member, SIGNED_AT, member_key(member)) for member in ("GBR", "NOR", "DNK"))
    text = text_of(given)
    return dataclasses.replace(SignedText(text, text.digest, made), **changes)


ENROLLED = {
    member_key(member).verifying_key.key_id: SignatoryKey(
        member_key(member).verifying_key, f"{member} signatory", member, SIGNED_AT, None, "entry"
    )
    for member in ("GBR", "NOR", "DNK")
}


def faults(*texts, enrolled=None, trusted=()):
    found = verify_texts(texts, ENROLLED if enrolled is None else enrolled, trusted=trusted)
    return [(each.edition, each.told) for each in found if each.is_good is False]


def test_sound_texts_verify_with_every_step_told():
    found = verify_texts((proof(FIRST), proof(SECOND)), ENROLLED)

    assert all(each.is_good for each in found)
    assert [each.told for each in found if each.edition == 2][:2] == [
        f"text {text_of(SECOND).digest}",
        "follows the text before",
    ]
    assert sum("signed by" in each.told for each in found) == 6
    assert faults(proof(FIRST), trusted=list(ENROLLED)) == []


def test_text_that_is_left_out_is_told_and_what_is_there_stays_proven():
    third = dataclasses.replace(FIRST, edition=3, previous=text_of(SECOND).digest)
    told = f"follows text {text_of(SECOND).digest}, which this file does not hold"
    for texts in ((proof(third),), (proof(FIRST), proof(third))):
        found = verify_texts(texts, ENROLLED)
        assert all(each.is_good for each in found)
        assert told in [each.told for each in found if each.edition == 3]
    assert all(each.is_good for each in verify_texts((proof(SECOND), proof(third)), ENROLLED))
    other, rootless = dataclasses.replace(third, id="b"), dataclasses.replace(third, previous=None)

    assert faults(proof(FIRST), proof(other)) == [(3, told)]
    assert faults(proof(rootless)) == [(3, "follows text None, which this file does not hold")]
    assert (1, "follows the text before") in faults(proof(SECOND), proof(FIRST))


def test_every_fault_is_named():
    gbr = next(key_id for key_id, key in ENROLLED.items() if key.member == "GBR")
    nor = ENROLLED[next(key_id for key_id, key in ENROLLED.items() if key.member == "NOR")]
    own = proof(FIRST).signatures

    assert faults() == [(0, "there is no text")]
    assert faults(proof(FIRST, digest="0" * 64))[0] == (1, f"text {'0' * 64}")
    assert faults(proof(dataclasses.replace(FIRST, previous="1" * 64))) == [(1, "is the first text")]
    assert faults(proof(FIRST), proof(FIRST))[0] == (1, "follows the text before")
    assert faults(proof(FIRST), proof(dataclasses.replace(SECOND, previous="1" * 64)))[0] == (
        2,
        "follows the text before",
    )
    assert faults(proof(FIRST), proof(dataclasses.replace(SECOND, id="b")))[0] == (2, "follows the text before")
    assert faults(proof(FIRST, signatures=own[:2])) == [(1, "not signed by DNK")]
    assert faults(proof(FIRST, signatures=own[:1])) == [(1, "not signed by NOR, DNK")]
    assert faults(proof(FIRST), enrolled={key: each for key, each in ENROLLED.items() if key != gbr}) == [
        (1, f"signed by GBR with key {gbr[:16]}, which is not that signatory's")
    ]
    assert len(faults(proof(FIRST), enrolled={**ENROLLED, gbr: nor})) == 1
    assert faults(proof(FIRST), trusted=[key for key in ENROLLED if key != gbr]) == [
        (1, f"signed by GBR with key {gbr[:16]}, which you do not trust")
    ]
    later = dataclasses.replace(ENROLLED[gbr], enrolled_at=DURING)
    assert faults(proof(FIRST), enrolled={**ENROLLED, gbr: later}) == [
        (1, f"signed by GBR with key {gbr[:16]}, which was enrolled only after that")
    ]
    for retired_at, found in (
        (SIGNED_AT, [(1, f"signed by GBR with key {gbr[:16]}, which was retired before")]),
        (DURING, []),
    ):
        retired = dataclasses.replace(ENROLLED[gbr], retired_at=retired_at)
        assert faults(proof(FIRST), enrolled={**ENROLLED, gbr: retired}) == found
    ana = member_key("ESP").verifying_key
    stranger = signature_of(FIRST, "ESP", SIGNED_AT, member_key("ESP"))
    with_ana = {**ENROLLED, ana.key_id: SignatoryKey(ana, "ESP signatory", "ESP", SIGNED_AT, None, "entry")}
    assert faults(proof(FIRST, signatures=(*own, stranger)), enrolled=with_ana) == [
        (1, "signed by ESP, which is no party")
    ]
    forged = dataclasses.replace(own[0], signature=own[1].signature)
    assert faults(proof(FIRST, signatures=(forged, *own[1:]))) == [(1, f"signed by GBR with key {gbr[:16]}")]
    broken = dataclasses.replace(TEXT, terms={"title": "no terms"})
    assert [edition for edition, told in faults(proof(FIRST, text=broken)) if "the terms cannot be read" in told] == [1]
