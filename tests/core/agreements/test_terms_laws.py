"""Laws of reading the terms of an agreement."""

import json

from hypothesis import given
from hypothesis import strategies as st

from exchange.agreements import Terms, terms_as_json, terms_from_stored
from exchange.kernel import Fault, InvalidError, canonical_bytes
from tests.core.agreements.worlds import SCOPE, VOCABULARY, changed, from_json, parse

durations = st.sampled_from(["P5Y", "PT30M", "P1W", "P1Y2M3DT4H5M6S"])
parties_of_test = st.lists(st.sampled_from(["GBR", "NOR", "DNK", "ESP", "EUROPOL"]), min_size=2, unique=True)


@st.composite
def bodies(draw):
    parties = draw(parties_of_test)
    some = st.lists(st.sampled_from(parties), min_size=1, unique=True)

    def words(known):
        return draw(st.lists(st.sampled_from(sorted(known)), min_size=1, max_size=4, unique=True))

    scopes = [
        {
            "name": name,
            "topics": [topic for topic in words(VOCABULARY.topics) if "." not in topic] or ["cyber"],
            "regions": words(VOCABULARY.regions),
            "kinds": words(VOCABULARY.kinds),
            "purposes": words(VOCABULARY.purposes),
            "ceiling": draw(st.sampled_from(["SECRET", "RESTRICTED"])),
            "compartments": draw(st.lists(st.sampled_from(["ATOMAL", "BOHEMIA"]), unique=True)),
            "contributors": draw(some),
            "readers": draw(some),
            "onward_release": draw(st.sampled_from(["never", "originator-consent", "parties"])),
            "retention": draw(durations),
            **draw(st.sampled_from([{}, {"answers": "asked"}])),
        }
        for name in draw(
            st.lists(
                st.from_regex(r"[a-z][a-z0-9]{0,8}(-[a-z0-9]{1,4})?", fullmatch=True),
                min_size=1,
                max_size=3,
                unique=True,
            )
        )
    ]
    owing = st.one_of(
        st.fixed_dictionaries({"report_every": durations}),
        st.fixed_dictionaries(
            {
                "acknowledge": st.dictionaries(
                    st.sampled_from(["FLASH", "IMMEDIATE", "PRIORITY", "ROUTINE"]), durations, min_size=1
                )
            }
        ),
    )
    obligations = []
    for scope, owed in draw(st.lists(st.tuples(st.sampled_from(scopes), owing), max_size=3)):
        able = scope["contributors" if "report_every" in owed else "readers"]
        obligations.append({"party": draw(st.sampled_from(["all", *able])), "scope": scope["name"], **owed})
    first, last = sorted(draw(st.lists(st.dates(), min_size=2, max_size=2)))
    return {
        "title": draw(st.sampled_from(["Arrangement", "Überseeisches Abkommen"])),
        "parties": parties,
        "policy": "NATO",
        "validity": {"from": first.isoformat(), "until": last.isoformat()},
        "scopes": scopes,
        "obligations": obligations,
        "termination": {"notice": draw(durations), "shared_reports": draw(st.sampled_from(["recalled", "kept"]))},
    }


@given(bodies())
def test_terms_read_back_as_they_were_written(body):
    terms = from_json(body)

    assert terms_as_json(terms) == body
    written = canonical_bytes(terms_as_json(terms))
    assert from_json(json.loads(written)) == terms_from_stored(json.loads(written)) == terms
    # JSON is YAML 1.2 too: the file reader says the same.
    assert parse(written.decode()) == terms


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
places = st.sampled_from(
    [
        ("title",),
        ("parties",),
        ("validity",),
        ("scopes",),
        SCOPE,
        (*SCOPE, "topics"),
        (*SCOPE, "retention"),
        ("obligations",),
        ("obligations", 1),
        ("termination",),
    ]
)


@given(places, json_values)
def test_whatever_comes_in_is_read_or_refused_with_faults(path, value):
    faults: tuple[Fault, ...] = ()
    terms = None
    try:
        terms = from_json(changed(path, value))
    except InvalidError as refused:
        faults = refused.faults

    assert isinstance(terms, Terms) is not bool(faults)
    assert all(fault.line is None for fault in faults)
