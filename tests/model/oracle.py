"""The base rules a second time, as plainly as possible: Cedar where Cedar can say it, a table where it cannot.

Shares no code with `exchange.release` but the types of question and answer. Levels, compartments and caveats are
written out here again; a slip in either place shows as a disagreement.
"""

import json
from dataclasses import replace

import cedarpy

from exchange.agreements import OnwardRelease
from exchange.release import Permit, Reason, Refusal, Use, View

LEVELS = {
    "NATO": ["UNCLASSIFIED", "RESTRICTED", "CONFIDENTIAL", "SECRET", "TOP SECRET"],
    "ESP": [None, "DIFUSIÓN LIMITADA", "CONFIDENCIAL", "RESERVADO", "SECRETO"],
    "FRA": [None, None, None, "SECRET", "TRÈS SECRET"],
}
COMPARTMENTS = {
    "NATO": {"ATOMAL", "BOHEMIA", "CRYPTO", "EXERCISE-AURORA", "EXERCISE-BOREALIS"},
    "ESP": {"EXERCISE-AURORA"},
    "FRA": {"EXERCISE-AURORA"},
}
CAVEATS = {
    "NATO": {
        *("ORCON", "EYES ONLY", "NOFORN", "NATIONALS ONLY", "H0", "H1", "H2", "H3", "SEALED"),
        *("TLP:RED", "TLP:AMBER+STRICT", "TLP:AMBER", "TLP:GREEN", "TLP:CLEAR"),
        *("PAP:RED", "PAP:AMBER", "PAP:GREEN", "PAP:CLEAR"),
    },
    "ESP": {"ORCON", "EYES ONLY"},
    "FRA": {"ORCON", "EYES ONLY"},
}

# One forbid per way to be refused, named after its reason; `#` keeps several ways to one reason apart.
ABOUT_THE_WHOLE = """
permit (principal, action, resource);
@id("role-missing#1") forbid (principal, action, resource) unless { principal.roles.contains("reader") };
@id("role-missing#2") forbid (principal, action, resource) when { principal.roles.containsAny(["operator", "auditor"]) };
@id("client-suspended") forbid (principal, action, resource) unless { principal.active };
@id("no-agreement#1") forbid (principal, action, resource) unless { resource has clause };
@id("no-agreement#2") forbid (principal, action, resource) when { resource has clause && resource.clause.agreement != resource.agreement };
@id("no-agreement#3") forbid (principal, action, resource) when { resource has clause && resource.clause.scope != resource.scope };
@id("agreement-not-in-force#1") forbid (principal, action, resource) when { resource has clause && !resource.clause.in_force };
@id("agreement-not-in-force#2") forbid (principal, action, resource)
when { resource has clause && !resource.clause.active.contains(resource.originator) };
@id("agreement-not-in-force#3") forbid (principal, action, resource)
when { resource has clause && resource.clause.came_back.contains(resource.originator)
       && principal.member != resource.originator };
@id("not-a-party#1") forbid (principal, action, resource)
when { resource has clause && !resource.given_something && !resource.clause.active.contains(principal.member) };
@id("not-a-party#2") forbid (principal, action, resource)
when { resource has clause && !resource.given_something && principal.member != resource.originator
       && !resource.clause.readers.contains(principal.member) && !resource.crisis_readers.contains(principal.member) };
@id("outside-scope-topic") forbid (principal, action, resource)
when { resource has clause && !(resource.topic in resource.clause.topics) };
@id("outside-scope-region#1") forbid (principal, action, resource)
when { resource has clause && !resource.clause.regions.containsAll(resource.regions) };
@id("outside-scope-region#2") forbid (principal, action, resource) when { resource has clause && resource.regions.isEmpty() };
@id("outside-scope-kind") forbid (principal, action, resource)
when { resource has clause && !resource.clause.kinds.contains(resource.kind) };
@id("purpose-not-allowed") forbid (principal, action, resource)
when { resource has clause && !resource.clause.purposes.contains(principal.purpose) };
@id("clearance-expired") forbid (principal, action, resource) unless { principal.cleared_now };
@id("recalled") forbid (principal, action, resource) when { resource.recalled };
@id("expired") forbid (principal, action, resource) when { resource.expired };
"""
ABOUT_A_LABEL = """
permit (principal, action, resource);
@id("rule-failed#1") forbid (principal, action, resource) unless { resource has rank };
@id("rule-failed#2") forbid (principal, action, resource) unless { principal has rank };
@id("rule-failed#3") forbid (principal, action, resource) when { resource has clause && !(resource.clause has ceiling) };
@id("rule-failed#4") forbid (principal, action, resource)
when { resource has rank && resource has clause && resource.clause has ceiling && resource.rank > resource.clause.ceiling
       && resource.crisis_unreadable };
@id("weak-assurance#1") forbid (principal, action, resource) when { principal.token && resource.handling.contains("TLP:RED") };
@id("weak-assurance#2") forbid (principal, action, resource) when { principal.token && resource has rank && resource.rank > 1 };
@id("above-ceiling") forbid (principal, action, resource)
when { resource has rank && resource has clause && resource.clause has ceiling && resource.rank > resource.clause.ceiling }
unless { resource.crisis_rank >= resource.rank || resource.crisis_unreadable };
@id("above-clearance") forbid (principal, action, resource)
when { resource has rank && principal has rank && resource.rank > principal.rank };
@id("missing-compartment#1") forbid (principal, action, resource)
unless { principal.compartments.containsAll(resource.compartments) };
@id("missing-compartment#2") forbid (principal, action, resource)
when { resource has clause && !resource.clause.compartments.containsAll(resource.compartments) };
@id("not-releasable#1") forbid (principal, action, resource)
unless { resource.given || principal.member == resource.originator || resource.releasable_to.contains(principal.member) };
@id("not-releasable#2") forbid (principal, action, resource)
when { resource has clause && resource.given_something && !resource.given }
unless { resource.clause.active.contains(principal.member)
         && (principal.member == resource.originator || resource.clause.readers.contains(principal.member)
             || resource.crisis_readers.contains(principal.member)) };
@id("nationality#1") forbid (principal, action, resource)
when { resource.handling.contains("EYES ONLY") }
unless { principal.nationality == resource.originator || resource.releasable_to.contains(principal.nationality)
         || (resource.given && principal.nationality == principal.member) };
@id("nationality#2") forbid (principal, action, resource)
when { resource.handling.contains("NOFORN") && principal.member != resource.originator };
@id("nationality#3") forbid (principal, action, resource)
when { resource.handling.contains("NOFORN") && principal.nationality != resource.originator };
@id("nationality#4") forbid (principal, action, resource)
when { resource.handling.contains("NATIONALS ONLY") && principal.nationality != principal.member };
@id("originator-control#1") forbid (principal, action == Action::"onward", resource)
when { resource.handling.containsAny(["ORCON", "H2", "TLP:RED", "TLP:AMBER+STRICT", "TLP:AMBER"]) };
@id("originator-control#2") forbid (principal, action == Action::"onward", resource)
unless { resource has clause && resource.clause.onward_to_parties };
@id("originator-control#3") forbid (principal, action == Action::"read", resource)
when { resource.controlled && resource.crisis_readers.contains(principal.member) && !resource.given }
unless { resource has clause && resource.clause.active.contains(principal.member)
         && (principal.member == resource.originator || resource.clause.readers.contains(principal.member)) };
@id("handling-caveat#1") forbid (principal, action, resource) when { resource.handling.contains("SEALED") };
@id("handling-caveat#2") forbid (principal, action, resource) when { resource.handling.contains("UNHEARD OF") };
@id("handling-caveat#3") forbid (principal, action, resource)
when { resource.handling.contains("H1") && principal.purpose == "judicial" && !resource.given_for_purpose };
@id("handling-caveat#4") forbid (principal, action, resource)
when { resource.handling.contains("H0") }
unless { ["law-enforcement", "counter-terrorism", "judicial"].contains(principal.purpose) };
@id("handling-caveat#5") forbid (principal, action, resource)
when { resource.handling.contains("PAP:RED") && ["judicial", "sanctions"].contains(principal.purpose)
       && !resource.given_for_purpose };
"""


def rank(policy, level):
    levels = LEVELS.get(policy, [])
    return levels.index(level) if level in levels else None


def label_rank(label):
    """Return the label's rank, or None where any of its markings is unknown."""
    families = [name.split(":")[0] for name in label.handling if ":" in name]
    if len(set(families)) < len(families) or ("NOFORN" in label.handling and label.releasable_to):
        return None
    known = set(label.compartments) <= COMPARTMENTS.get(label.policy, set()) and set(label.handling) <= CAVEATS.get(
        label.policy, set()
    )
    return rank(label.policy, label.classification) if known else None


def given(reader, cls, scope):
    """Return the consents that count for this reader, spelled out: member, moment, purpose, and the treaty."""
    counting = []
    for consent in cls.consents:
        over = consent.until_micros is not None and consent.until_micros <= reader.at_micros
        if consent.member == reader.member and not over and reader.purpose in (consent.purposes or [reader.purpose]):
            counting.append(consent)
    return counting


def releases(reader, cls, scope):
    """Return the labels that these consents release; where nothing may go on, none to those who are no readers."""
    if scope is None:
        return set()
    is_reader = reader.member in scope.active_parties and reader.member in {cls.originator, *scope.readers}
    if scope.onward_release is OnwardRelease.NEVER and not is_reader:
        return set()
    return {label for consent in given(reader, cls, scope) for label in consent.labels}


def bearing(cls, scope):
    """Return the crises that bear on the report: it was posted in them, or the treaty says that older ones count."""
    return [each for each in (scope.crises if scope else ()) if each.reaches_older or each.id in cls.crises]


def crisis_words(cls, scope, label):
    controlled = bool({"ORCON", "H2", "TLP:RED", "TLP:AMBER+STRICT", "TLP:AMBER"} & set(label.handling))
    lifting = [crisis.ceiling for crisis in bearing(cls, scope) if crisis.ceiling is not None and not controlled]
    ranks = [rank("NATO", ceiling) for ceiling in lifting]
    return {
        "controlled": controlled,
        "crisis_readers": sorted({member for crisis in bearing(cls, scope) for member in crisis.readers}),
        "crisis_rank": max([-1, *[each for each in ranks if each is not None]]),
        "crisis_unreadable": None in ranks,
    }


def reasons(policies, reader, cls, scope, row, use, label):
    """Return the reasons that Cedar finds against one label of the report."""
    words = cls.topic.split(".")
    topics = [".".join(words[:length]) for length in range(1, len(words) + 1)]
    topic_entities = [
        {
            "uid": {"type": "Topic", "id": topic},
            "attrs": {},
            "parents": [{"type": "Topic", "id": above} for above in topics[:place]],
        }
        for place, topic in enumerate(topics)
    ]
    principal = {
        "roles": [role.value for role in reader.roles],
        "active": reader.is_active,
        "member": reader.member,
        "nationality": reader.nationality,
        "purpose": reader.purpose,
        "cleared_now": reader.clearance_current,
        "token": reader.assurance.value == "token",
        "compartments": sorted(reader.compartments),
    }
    if rank("NATO", reader.level) is not None:
        principal["rank"] = rank("NATO", reader.level)
    resource = {
        "agreement": cls.agreement,
        "scope": cls.scope,
        "originator": cls.originator,
        "topic": {"__entity": {"type": "Topic", "id": cls.topic}},
        "regions": list(cls.regions),
        "kind": cls.kind,
        "recalled": row.is_recalled,
        "expired": row.is_expired,
        "compartments": list(label.compartments),
        "releasable_to": list(label.releasable_to),
        "handling": list(label.handling),
        **crisis_words(cls, scope, label),
        "given": label in releases(reader, cls, scope),
        "given_something": bool(releases(reader, cls, scope)),
        "given_for_purpose": any(
            label in each.labels and reader.purpose in each.purposes for each in given(reader, cls, scope)
        ),
    }
    if label_rank(label) is not None:
        resource["rank"] = label_rank(label)
    if scope is not None:
        resource["clause"] = clause(scope)
    answer = cedarpy.is_authorized(
        {"principal": 'Client::"c"', "action": f'Action::"{use.value}"', "resource": 'Report::"r"', "context": {}},
        policies,
        json.dumps(
            [
                {"uid": {"type": "Client", "id": "c"}, "attrs": principal, "parents": []},
                {"uid": {"type": "Report", "id": "r"}, "attrs": resource, "parents": []},
                *topic_entities,
            ]
        ),
    )
    assert answer.diagnostics.errors == []
    found = set(answer.diagnostics.id_annotations_by_reason.values())
    assert answer.allowed is (not found)
    return {Reason(name.split("#")[0]) for name in found}


def clause(scope):
    written = {
        "agreement": scope.agreement,
        "scope": scope.scope,
        "in_force": scope.in_force,
        "active": sorted(scope.active_parties),
        "readers": sorted(scope.readers),
        "topics": [{"__entity": {"type": "Topic", "id": topic}} for topic in scope.topics],
        "regions": sorted(scope.regions),
        "kinds": sorted(scope.kinds),
        "purposes": sorted(scope.purposes),
        "compartments": sorted(scope.compartments),
        "came_back": sorted(scope.came_back),
        "onward_to_parties": scope.onward_release is OnwardRelease.PARTIES,
    }
    ceilings = [rank(scope.policy, each) for each in [scope.ceiling, *scope.ceilings]]
    return written if None in ceilings else {**written, "ceiling": min(ceilings)}


def oracle(reader, cls, scope, row, use, caveats=None):
    """Return ("permit", labels, view) or ("refusal", reasons), from Cedar's answers.

    `caveats` are the national ones: member -> tests in Python, each of which stops what it holds for.
    """
    whole = reasons(ABOUT_THE_WHOLE, reader, cls, scope, row, use, cls.label)
    against = {
        label: reasons(ABOUT_A_LABEL, reader, cls, scope, row, use, label) for label in [cls.label, *cls.part_labels]
    }
    for label, found in against.items():
        own = (caveats or {}).get(cls.originator, ())
        # Of a label or a clearance that no policy knows nothing can be asked; it is refused already.
        knows = label_rank(label) is not None and rank("NATO", reader.level) is not None
        # What the consent answers goes on to this reader: it must be let on as well.
        alone = replace(cls, consents=())
        is_given = any(label in each.labels for each in given(reader, cls, scope)) and (whole, found) != (
            reasons(ABOUT_THE_WHOLE, reader, alone, scope, row, use, cls.label),
            reasons(ABOUT_A_LABEL, reader, alone, scope, row, use, label),
        )
        uses = {use, Use.ONWARD} if is_given else {use}
        if knows and any(stops(reader, cls, label, each) for stops in own for each in uses):
            found.add(Reason.NATIONAL_CAVEAT)
    released = {label for label in cls.part_labels if not against[label]}
    if not whole and released:
        return "permit", released, View.TEAR_LINE if against[cls.label] else View.FULL
    # Where some part is clear, the labels are not what stands in the way.
    return "refusal", whole if released else whole.union(*against.values())


def as_oracle_says(decision):
    """Return a decision in the oracle's words."""
    match decision:
        case Permit(labels, view, _):
            return "permit", set(labels), view
        case Refusal(found, _):
            assert list(found) == [reason for reason in Reason if reason in found]
            return "refusal", set(found)


assert {use.value for use in Use} == {"read", "onward"}
