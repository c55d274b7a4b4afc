"""What a text changes, in words."""

from dataclasses import replace

from exchange.agreements import AnswersTo, OlderReports, OnwardRelease, SharedReports, differences
from exchange.members import MemberCode
from tests.core.agreements.worlds import EXAMPLE, parse

FIRST = parse(EXAMPLE)
SCOPE = FIRST.scopes[0]
NLD = MemberCode("NLD")


def told(**changes):
    return differences(FIRST, replace(FIRST, scopes=(replace(SCOPE, **changes),)))


def test_nothing_changed_is_nothing_told():
    assert differences(FIRST, FIRST) == ()


def test_scopes_are_told_member_by_member_and_word_by_word():
    assert told(readers=(*SCOPE.readers[:2], NLD)) == (
        "NLD may now read cyber-threats up to SECRET",
        "DNK may no longer read cyber-threats",
    )
    assert told(ceiling="TOP SECRET") == tuple(
        f"{member} may now read cyber-threats up to TOP SECRET" for member in SCOPE.readers
    )
    assert told(topics=("terrorism",)) == (
        "cyber-threats: topics gain terrorism",
        "cyber-threats: topics lose cyber",
    )
    assert told(onward_release=OnwardRelease.NEVER, retention="P1Y") == (
        "cyber-threats: onward release becomes never",
        "cyber-threats: retention becomes P1Y",
    )
    assert told(answers=AnswersTo.ASKED) == ("cyber-threats: answers to requests go to the asked",)


def test_what_becomes_of_a_leavers_reports_is_told():
    assert differences(FIRST, replace(FIRST, parties=FIRST.parties[:2])) == (
        "DNK is no party any more: what it shared is recalled",
    )


def test_parties_scopes_and_terms_are_told():
    after = replace(
        FIRST,
        title="Another",
        parties=(*FIRST.parties[:2], NLD),
        validity=replace(FIRST.validity, review_every=None),
        scopes=(replace(SCOPE, name="other", readers=(NLD,)),),
        obligations=(),
        termination=replace(FIRST.termination, notice="P1D", shared_reports=SharedReports.KEPT),
        older_reports=OlderReports.INCLUDED,
    )

    assert differences(FIRST, after) == (
        "NLD accedes",
        "DNK is no party any more",
        "the scope other is new: from GBR, NOR",
        "NLD may now read other up to SECRET",
        "the scope cyber-threats ends",
        f"title: {FIRST.title} becomes Another",
        "review: P2Y becomes None",
        "notice of withdrawal: P90D becomes P1D",
        "fate of shared reports: recalled becomes kept",
        "the obligations change",
        "what is widened reaches reports that are older than this text",
    )
