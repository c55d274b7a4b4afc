"""A request is judged like a report, with its clause turned round."""

import pytest

from exchange.members import Role
from exchange.release import CrisisFacts, Permit, Reason, Refusal, Use, as_asked, decide, request_scope
from tests.support.release_world import CLASS, ROW, reader, rules_only_law, scope

CONTRIBUTOR = frozenset({Role.CONTRIBUTOR})


def judged(member="NOR", *, asked=("NOR",), contributors=("GBR", "NOR"), asker="GBR", **changes):
    turned = request_scope(scope(), asked=asked, contributors=contributors)
    who = as_asked(reader(member=member, **changes), asker=asker)
    return decide(who, CLASS, turned, ROW, Use.READ, rules_only_law())


@pytest.mark.parametrize("roles", [frozenset({Role.READER}), CONTRIBUTOR])
def test_asked_contributor_reads_the_request(roles):
    assert isinstance(judged(roles=roles), Permit)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"asked": ()}, Reason.NOT_A_PARTY),
        ({"contributors": ("GBR",)}, Reason.NOT_A_PARTY),
        ({"level": "RESTRICTED"}, Reason.ABOVE_CLEARANCE),
        ({"roles": frozenset({Role.RELEASER})}, Reason.ROLE_MISSING),
        ({"roles": CONTRIBUTOR | {Role.OPERATOR}}, Reason.ROLE_MISSING),
        ({"is_active": False}, Reason.CLIENT_SUSPENDED),
        ({"purpose": "research"}, Reason.PURPOSE_NOT_ALLOWED),
    ],
)
def test_whoever_is_not_asked_or_could_not_read_such_a_report_is_refused(changes, reason):
    decision = judged(**changes)

    assert isinstance(decision, Refusal)
    assert reason in decision.reasons


def test_reader_of_the_scope_that_is_not_asked_reads_no_request():
    assert isinstance(judged("DNK", asked=("NOR", "DNK")), Refusal)


def test_asker_reads_its_own_as_a_reader_alone():
    own = {"nationality": "GBR", "agency": "GBR"}

    assert isinstance(judged("GBR", **own), Permit)
    assert Reason.ROLE_MISSING in judged("GBR", roles=CONTRIBUTOR, **own).reasons


def test_request_without_a_clause_is_refused():
    assert request_scope(None, asked=("NOR",), contributors=("NOR",)) is None


def test_crisis_opens_no_request():
    crisis = CrisisFacts("crisis-1", frozenset({"NOR"}), None, reaches_older=True)
    turned = request_scope(scope(readers=frozenset(), crises=(crisis,)), asked=(), contributors=("GBR", "NOR"))

    decision = decide(as_asked(reader(), asker="GBR"), CLASS, turned, ROW, Use.READ, rules_only_law())

    assert isinstance(decision, Refusal)
    assert decision.reasons == (Reason.NOT_A_PARTY,)
