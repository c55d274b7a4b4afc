"""Requests for information: what may be asked, how it is kept, and where it stands for whom."""

from dataclasses import replace
from datetime import timedelta

import pytest

from exchange.kernel import Fault, InvalidError, MalformedError
from exchange.markings import Label
from exchange.members import MemberCode
from exchange.reports import (
    PostedRequest,
    Precedence,
    RequestState,
    compose_request,
    request_as_json,
    request_from_json,
    request_state,
    too_wide_for_answer,
)
from tests.core.reports.worlds import ID, LATER, NOW, RESTRICTED, RULES, SCOPE, SECRET, TOP_SECRET

GBR, NOR, DNK = MemberCode("GBR"), MemberCode("NOR"), MemberCode("DNK")
REQUEST = PostedRequest(
    agreement="agreement-1",
    scope="cyber-threats",
    kind="intrep",
    topic="cyber.apt",
    regions=("EUR",),
    precedence=Precedence.PRIORITY,
    subject="Addresses",
    label=SECRET,
    text="Which addresses?",
    deadline=LATER,
)


def compose(asker=GBR, rules=RULES, **changes):
    return compose_request(replace(REQUEST, **changes), request_id=ID, asker=asker, now=NOW, rules=rules)


# What is said of the faults that only a request can have, by code.
SAID = {
    "missing-conditions": "`H3` needs conditions, and a request holds none: leave it out",
    "in-the-past": "lies in the past: name a later moment",
    "not-a-party": "is no other contributor of the scope",
    "not-releasable": (
        "does not name NOR: who is asked must be able to read it",
        "does not name GBR, NOR: who is asked must be able to read it",
    ),
}


def faults(**changes):
    with pytest.raises(InvalidError) as refused:
        compose(**changes)
    found = refused.value.faults
    assert refused.value.message == f"the request has {len(found)} {'fault' if len(found) == 1 else 'faults'}"
    assert all(fault.message.startswith(SAID.get(fault.code, fault.message)) for fault in found)
    return [(fault.pointer, fault.code) for fault in found]


def test_request_asks_every_other_contributor_where_nobody_is_named():
    request = compose()

    assert request.asked == ("NOR",)
    assert (request.header.id, request.header.originator, request.header.posted_at) == (ID, "GBR", NOW)
    assert (request.text, request.deadline) == ("Which addresses?", LATER)
    assert (request.header.subject, request.header.precedence) == ("Addresses", Precedence.PRIORITY)
    # A member that only reads asks all contributors.
    assert compose(asker=DNK, asked=()).asked == ("GBR", "NOR")
    assert compose(asked=("NOR", "NOR")).asked == ("NOR",)


def test_request_asks_those_alone_who_are_named():
    members = tuple(MemberCode(code) for code in ("NOR", "ITA", "FRA", "ESP", "DNK", "BEL"))
    wide = replace(RULES, scope=replace(SCOPE, contributors=(GBR, *members)), is_member=lambda _: True)
    label = replace(SECRET, releasable_to=tuple(sorted(members)))

    assert compose(rules=wide, label=label, asked=("DNK",)).asked == ("DNK",)
    assert compose(rules=wide, label=label, asked=members).asked == tuple(sorted(members))
    assert compose(rules=wide, label=label).asked == tuple(sorted(members))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"kind": "nonsense"}, [("/kind", "unknown-kind")]),
        ({"topic": "terrorism"}, [("/topic", "outside-scope-topic")]),
        ({"label": TOP_SECRET}, [("/label/classification", "above-ceiling")]),
        ({"text": "with\x00NUL"}, [("/text", "wrong-content")]),
        ({"text": "\ud800"}, [("/text", "wrong-content")]),
        ({"label": replace(SECRET, handling=("H3",))}, [("/label/handling", "missing-conditions")]),
        ({"deadline": NOW}, [("/deadline", "in-the-past")]),
        ({"asked": ("DNK",)}, [("/asked/0", "not-a-party")]),
        ({"asked": ("NOR", "GBR")}, [("/asked/1", "not-a-party")]),
        ({"label": Label("NATO", "SECRET"), "asker": DNK}, [("/label/releasable_to", "not-releasable")]),
        (
            {"label": Label("NATO", "SECRET"), "deadline": NOW, "regions": ()},
            [("/regions", "empty"), ("/label/releasable_to", "not-releasable"), ("/deadline", "in-the-past")],
        ),
    ],
)
def test_request_with_a_fault_is_refused_with_every_fault(changes, expected):
    assert faults(**changes) == expected


def test_request_in_a_scope_without_other_contributors_asks_nobody():
    alone = replace(RULES, scope=replace(SCOPE, contributors=(GBR,)))

    with pytest.raises(InvalidError, match=r"^the request has 1 fault\n") as refused:
        compose(rules=alone)
    told = "nobody else contributes to the scope: there is nobody to ask"
    assert refused.value.faults == (Fault("/asked", "empty", told),)


def test_request_reads_back_as_it_was_written():
    request = compose()
    written = request_as_json(request, marking=lambda label: label.classification)

    assert request_from_json(written) == request


LACKS = "a stored request has no text, no deadline or nobody whom it asks"
OTHER_FIELDS = "a stored request does not have exactly the fields asked, deadline, header, text"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"text": 1}, LACKS),
        ({"asked": "NOR"}, LACKS),
        ({"asked": [1]}, "a stored request asks somebody who is no member"),
        ({"asked": ["NOR", 1]}, "a stored request asks somebody who is no member"),
        ({"deadline": None}, LACKS),
        ({"deadline": "tomorrow"}, "`tomorrow` is not a time"),
        ({"header": {}}, "a stored object does not have exactly the fields"),
        ({"more": 1}, OTHER_FIELDS),
    ],
)
def test_stored_request_of_another_shape_is_refused(change, said):
    written = request_as_json(compose(), marking=lambda _: "")

    with pytest.raises(MalformedError, match=f"^{said}"):
        request_from_json(written | change)
    with pytest.raises(MalformedError, match=f"^{OTHER_FIELDS}$"):
        request_from_json([written])


def test_states_are_kept_and_told_by_these_words():
    assert [state.value for state in RequestState] == ["open", "answered", "overdue", "closed", "withdrawn"]


@pytest.mark.parametrize(
    ("ended", "has_answer", "passed", "expected"),
    [
        (None, False, False, RequestState.OPEN),
        (None, True, False, RequestState.ANSWERED),
        (None, False, True, RequestState.OVERDUE),
        (None, True, True, RequestState.ANSWERED),
        (RequestState.CLOSED, True, True, RequestState.CLOSED),
        (RequestState.WITHDRAWN, False, True, RequestState.WITHDRAWN),
    ],
)
def test_state_follows_from_what_was_set_known_answers_and_time(ended, has_answer, passed, expected):
    now = LATER if passed else LATER - timedelta(microseconds=1)

    assert request_state(ended, has_answer=has_answer, deadline=LATER, now=now) is expected


def test_answer_is_too_wide_where_anybody_else_could_read_any_of_it():
    third = replace(RESTRICTED, releasable_to=("DNK", "GBR", "NOR"))

    assert too_wide_for_answer((SECRET, RESTRICTED), originator="NOR", asker="GBR") == ()
    assert too_wide_for_answer((SECRET, third), originator="NOR", asker="GBR") == ("DNK",)
    many = replace(RESTRICTED, releasable_to=("BEL", "DNK", "ESP", "FRA", "GBR", "ITA", "NOR"))
    assert too_wide_for_answer((many,), originator="NOR", asker="GBR") == ("BEL", "DNK", "ESP", "FRA", "ITA")
