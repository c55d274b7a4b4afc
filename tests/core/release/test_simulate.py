from dataclasses import replace

from exchange.members import Role
from exchange.release import AgencyOutlook, MemberOutlook, Reason
from tests.support.release_world import (
    CLASS,
    LABEL,
    LOWER,
    SCOPE,
    label,
    law_with,
    marked,
    reader,
    rules_only_law,
    simulated,
)

SWEPT = marked(LABEL, LOWER, LABEL)


def client(number, member, **changes):
    return reader(client=f"c{number}", **{"member": member, "nationality": member, "agency": f"{member}/A", **changes})


def outlook(readers, cls=SWEPT, clause=SCOPE, law=None):
    members = simulated(cls, clause, readers, law or rules_only_law()).members
    told = {found.member: found for found in members}
    assert len(told) == len(members), "each is told of once"
    return told


def test_clients_are_counted_by_agency_whole_and_tear_line():
    readers = [
        client(1, "NOR"),
        client(2, "NOR"),
        client(3, "NOR", agency="NOR/B"),
        client(4, "NOR", agency="NOR/B", level="RESTRICTED", compartments=frozenset()),
        client(5, "NOR", agency="NOR/C", level="UNCLASSIFIED"),
        client(6, "DNK"),
        client(7, "DNK"),
    ]

    found = outlook(readers)

    assert found["NOR"] == MemberOutlook("NOR", (AgencyOutlook("A", 2, 0), AgencyOutlook("B", 1, 1)), ())
    assert found["DNK"] == MemberOutlook("DNK", (AgencyOutlook("A", 0, 2),), ())


def test_agencies_are_listed_by_code_whatever_the_order_of_the_clients():
    tear_line = {"level": "RESTRICTED", "compartments": frozenset()}
    readers = [
        client(number, "NOR", agency=f"NOR/{letter}", **(tear_line if letter in "AC" else {}))
        for number, letter in enumerate("DBCA")
    ]

    assert [each.agency for each in outlook(readers)["NOR"].agencies] == ["A", "B", "C", "D"]


def test_originator_is_concerned_where_neither_scope_nor_label_names_it():
    assert list(outlook([], cls=marked(label(releasable_to=("FRA",))), clause=None)) == ["FRA", "GBR"]


def test_members_concerned_are_listed_by_code_and_no_others():
    found = outlook([client(1, "ESP"), client(2, "EUROPOL")], cls=marked(label(releasable_to=("FRA", "GBR"))))

    assert list(found) == ["DNK", "FRA", "GBR", "NOR"]


def test_a_member_named_by_a_part_only_is_concerned():
    assert "FRA" in outlook([], cls=marked(LABEL, label(releasable_to=("FRA",))))


def test_a_member_that_only_a_label_names_is_no_party_whatever_its_clients_are():
    named = marked(label(releasable_to=("FRA", "GBR")))
    for readers in ([], [client(1, "FRA", level="UNCLASSIFIED")], [client(1, "FRA", clearance_current=False)]):
        assert outlook(readers, cls=named)["FRA"] == MemberOutlook("FRA", (), (Reason.NOT_A_PARTY,))


def test_a_member_without_a_reading_client_is_refused_for_the_role():
    assert outlook([])["NOR"] == MemberOutlook("NOR", (), (Reason.ROLE_MISSING,))


def test_what_stops_all_of_a_members_clients_is_its_reason():
    readers = [client(1, "DNK", level="RESTRICTED"), client(2, "DNK", clearance_current=False), client(3, "DNK")]

    assert outlook(readers, cls=CLASS)["DNK"].reasons == (Reason.NOT_RELEASABLE,)


def test_where_nothing_stops_all_of_them_every_reason_is_given():
    readers = [client(1, "NOR", level="RESTRICTED"), client(2, "NOR", is_active=False)]

    assert outlook(readers, cls=CLASS)["NOR"].reasons == (Reason.CLIENT_SUSPENDED, Reason.ABOVE_CLEARANCE)


def test_a_client_that_is_no_reader_says_nothing_about_its_member():
    contributor = client(2, "NOR", roles=frozenset({Role.CONTRIBUTOR}), level="UNCLASSIFIED")

    assert outlook([client(1, "NOR", level="RESTRICTED"), contributor], cls=CLASS)["NOR"].reasons == (
        Reason.ABOVE_CLEARANCE,
    )
    assert outlook([contributor], cls=CLASS)["NOR"].reasons == (Reason.ROLE_MISSING,)


def test_one_client_that_can_read_leaves_no_reasons():
    readers = [client(1, "NOR", level="RESTRICTED"), client(2, "NOR")]

    assert outlook(readers, cls=CLASS)["NOR"] == MemberOutlook("NOR", (AgencyOutlook("A", 1, 0),), ())


def test_without_an_agreement_nobody_reads():
    found = outlook([client(1, "NOR"), client(2, "GBR")], clause=None)

    assert found["NOR"].reasons == found["GBR"].reasons == (Reason.NO_AGREEMENT,)


def test_guards_are_asked():
    law = law_with(
        GBR='@id("gbr.y") @reason("x") forbid (principal, action, resource) when { principal.member == "NOR" };'
    )

    assert outlook([client(1, "NOR")], cls=CLASS, law=law)["NOR"].reasons == (Reason.NATIONAL_CAVEAT,)


def test_each_client_is_asked_with_its_own_purpose():
    readers = [client(1, "NOR", purpose="judicial"), client(2, "NOR", purpose="sanctions", agency="NOR/B")]

    assert outlook(readers, cls=CLASS)["NOR"].agencies == (AgencyOutlook("A", 1, 0),)


def test_nothing_posted_is_simulated_as_recalled_or_without_parts_as_unreadable():
    found = outlook([client(1, "NOR")], cls=replace(CLASS, part_labels=()))

    assert found["NOR"].agencies == (AgencyOutlook("A", 1, 0),)
