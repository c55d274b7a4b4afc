"""Generated worlds: mostly in order, with any fact askew now and then; about one in seven permits."""

from dataclasses import replace

from hypothesis import strategies as st

from exchange.agreements import OnwardRelease
from exchange.kernel import canonical_bytes
from exchange.markings import Label
from exchange.members import Role
from exchange.release import Assurance, ClassFacts, Consent, CrisisFacts, ReaderFacts, RowFacts, ScopeFacts, Use
from exchange.release.classes import _sorted_consents

MEMBERS = ("DNK", "ESP", "EUROPOL", "GBR", "NOR")


def mostly(usual, *others):
    """Draw `usual` most of the time."""
    return st.sampled_from([usual] * 24 + list(others))


def sets_of(*values, max_size=None):
    return st.frozensets(st.sampled_from(values), max_size=max_size)


def chosen(*values):
    return sets_of(*values).map(lambda found: tuple(sorted(found)))


LEVELS = st.sampled_from(
    [("NATO", "SECRET")] * 3
    + [("NATO", "RESTRICTED")] * 3
    + [("NATO", "UNCLASSIFIED"), ("NATO", "CONFIDENTIAL"), ("NATO", "TOP SECRET")]
    + [("ESP", "RESERVADO"), ("ESP", "DIFUSIÓN LIMITADA"), ("FRA", "SECRET"), ("FRA", "TRÈS SECRET")]
    + [("NATO", "secret"), ("MARS", "SECRET"), ("FRA", "UNCLASSIFIED")]
)
HANDLING = st.sampled_from(
    [()] * 8
    + [("ORCON",), ("EYES ONLY",), ("EYES ONLY", "ORCON"), ("H1",), ("H2",), ("SEALED",), ("UNHEARD OF",)]
    + [("H0",), ("H1", "H3"), ("NATIONALS ONLY",), ("NOFORN",), ("PAP:RED",), ("PAP:AMBER", "TLP:AMBER"), ("TLP:RED",)]
    + [("TLP:AMBER+STRICT",), ("TLP:GREEN",), ("TLP:CLEAR", "TLP:RED")]
)
COMPARTMENTS = st.sampled_from(
    [()] * 4 + [("EXERCISE-AURORA",)] * 3 + [("ATOMAL",), ("ATOMAL", "EXERCISE-AURORA"), ("UNHEARD-OF",)]
)
RELEASABLE = st.one_of(st.just(("DNK", "GBR", "NOR")), st.just(("NOR",)), chosen(*MEMBERS))
labels = st.builds(
    lambda level, compartments, releasable, handling: Label(*level, compartments, releasable, handling),
    LEVELS,
    COMPARTMENTS,
    RELEASABLE,
    HANDLING,
)
readers = st.builds(
    ReaderFacts,
    client=st.just("reader-1"),
    version=st.just(1),
    member=mostly("NOR", *MEMBERS),
    agency=st.just("NOR/NIS"),
    nationality=mostly("NOR", *MEMBERS),
    roles=mostly(
        frozenset({Role.READER}),
        frozenset(),
        frozenset({Role.READER, Role.OPERATOR}),
        frozenset({Role.READER, Role.AUDITOR}),
        frozenset({Role.CONTRIBUTOR}),
        frozenset({Role.READER, Role.RELEASER}),
    ),
    is_active=mostly(True, False),
    level=mostly("SECRET", "TOP SECRET", "CONFIDENTIAL", "RESTRICTED", "UNCLASSIFIED", "RESERVADO", ""),
    compartments=st.one_of(st.just(frozenset({"EXERCISE-AURORA"})), sets_of("ATOMAL", "EXERCISE-AURORA", "UNHEARD-OF")),
    clearance_current=mostly(True, False),
    assurance=mostly(Assurance.MUTUAL_TLS, Assurance.TOKEN, Assurance.TOKEN),
    purpose=mostly("defence", "judicial", "judicial", "sanctions", ""),
    at_micros=st.integers(0, 4),
)
crises = st.builds(
    CrisisFacts,
    id=st.sampled_from(("crisis-1", "crisis-2")),
    readers=mostly(frozenset(), *[frozenset({member}) for member in MEMBERS] * 3),
    ceiling=mostly("TOP SECRET", *[None] * 12, "SECRET", "HIGH"),
    reaches_older=mostly(False, *[True] * 8),
)
clauses = st.builds(
    ScopeFacts,
    agreement=mostly("agreement-1", "agreement-1", "agreement-2"),
    agreement_version=st.just(1),
    scope=mostly("cyber", "cyber", "other"),
    in_force=mostly(True, False),
    active_parties=mostly(
        frozenset({"DNK", "GBR", "NOR"}), frozenset({"GBR", "DNK"}), frozenset({"NOR"}), frozenset(MEMBERS)
    ),
    readers=mostly(frozenset({"DNK", "NOR"}), frozenset({"DNK"}), frozenset(), frozenset(MEMBERS)),
    topics=mostly(("cyber",), (), ("cyber.apt",), ("cyber.malware", "maritime"), ("cyber.apt.x",)),
    regions=mostly(frozenset({"EUR", "NAM"}), frozenset(), frozenset({"EUR"})),
    kinds=mostly(frozenset({"intrep"}), frozenset(), frozenset({"imagery", "intrep"})),
    purposes=mostly(frozenset({"defence", "judicial"}), frozenset(), frozenset({"defence"})),
    policy=mostly("NATO", "NATO"),
    ceiling=mostly("SECRET", "TOP SECRET", "RESTRICTED", "CONFIDENTIAL", "HIGH"),
    compartments=mostly(frozenset({"EXERCISE-AURORA"}), frozenset(), frozenset({"ATOMAL", "EXERCISE-AURORA"})),
    onward_release=st.sampled_from(OnwardRelease),
    ceilings=mostly(
        frozenset(), frozenset({"TOP SECRET"}), frozenset({"RESTRICTED"}), *[frozenset({"HIGH", "RESTRICTED"})] * 3
    ),
    came_back=mostly(frozenset(), frozenset({"GBR"}), frozenset({"ESP", "NOR"})),
    crises=st.one_of(st.just(()), st.just(()), st.lists(crises, min_size=1, max_size=2).map(tuple)),
)
scopes = st.one_of(*[clauses] * 9, st.none())
bare_classes = st.builds(
    ClassFacts,
    agreement=st.just("agreement-1"),
    scope=st.just("cyber"),
    originator=mostly("GBR", *MEMBERS),
    topic=mostly("cyber.apt", "cyber", "cyberwar", "cyber.apt.x", "maritime"),
    regions=mostly(("EUR",), (), ("EUR", "NAM"), ("AFR", "EUR")),
    kind=mostly("intrep", "imagery"),
    label=labels,
    part_labels=st.lists(labels, min_size=1, max_size=3, unique=True).map(tuple),
    crises=mostly((), *[("crisis-1",)] * 12, ("crisis-1", "crisis-2"), ("crisis-3",)),
)
consents = st.builds(
    lambda member, some, purposes, until: (member, some, purposes, until),
    mostly("NOR", *MEMBERS),
    st.integers(1, 7),
    st.sampled_from([()] * 3 + [("defence",), ("judicial",), ("defence", "judicial"), ("sanctions",)]),
    st.sampled_from([None, 0, 2, 4]),
)


def with_consents(cls, drawn):
    # Consents are about labels that the report has: which of them, each bit says.
    own = sorted({cls.label, *cls.part_labels}, key=lambda label: canonical_bytes(label.as_json()))
    made = [
        Consent(member, tuple(label for place, label in enumerate(own) if some >> place & 1), purposes, until)
        for member, some, purposes, until in drawn
    ]
    return replace(cls, consents=_sorted_consents(consent for consent in made if consent.labels))


classes = st.builds(with_consents, bare_classes, st.one_of(st.just([]), st.lists(consents, min_size=1, max_size=2)))
rows = st.builds(RowFacts, is_recalled=mostly(False, True), is_expired=mostly(False, True))
uses = st.sampled_from([Use.READ] * 3 + [Use.ONWARD])
