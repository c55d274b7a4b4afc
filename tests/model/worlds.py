"""Generated worlds: mostly in order, with any fact askew now and then; about one in seven permits."""

from hypothesis import strategies as st

from exchange.agreements import OnwardRelease
from exchange.markings import Label
from exchange.members import Role
from exchange.release import Assurance, ClassFacts, ReaderFacts, RowFacts, ScopeFacts, Use

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
    [()] * 6 + [("ORCON",), ("EYES ONLY",), ("EYES ONLY", "ORCON"), ("H1",), ("H2",), ("SEALED",), ("UNHEARD OF",)]
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
)
scopes = st.one_of(*[clauses] * 9, st.none())
classes = st.builds(
    ClassFacts,
    agreement=st.just("agreement-1"),
    scope=st.just("cyber"),
    originator=mostly("GBR", *MEMBERS),
    topic=mostly("cyber.apt", "cyber", "cyberwar", "cyber.apt.x", "maritime"),
    regions=mostly(("EUR",), (), ("EUR", "NAM"), ("AFR", "EUR")),
    kind=mostly("intrep", "imagery"),
    label=labels,
    part_labels=st.lists(labels, min_size=1, max_size=3, unique=True).map(tuple),
)
rows = st.builds(RowFacts, is_recalled=mostly(False, True), is_expired=mostly(False, True))
uses = st.sampled_from([Use.READ] * 3 + [Use.ONWARD])
