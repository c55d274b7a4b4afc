"""National caveats twice: as Cedar that a member could upload, and as Python that says the same."""

from hypothesis import strategies as st

from exchange.release import Use, stored_national
from tests.model.oracle import label_rank, rank
from tests.support.national import guard
from tests.support.release_world import rules_only_law

# Each is a condition, and the same of reader, class, label and use.
PLAIN = [
    ("true", lambda reader, cls, label, use: True),
    ('principal.member == "NOR"', lambda reader, cls, label, use: reader.member == "NOR"),
    ('principal.nationality == "ESP"', lambda reader, cls, label, use: reader.nationality == "ESP"),
    ('["NOR", "DNK"].contains(principal.member)', lambda reader, cls, label, use: reader.member in {"NOR", "DNK"}),
    (
        "resource.releasable_to.contains(principal.nationality)",
        lambda reader, cls, label, use: reader.nationality in label.releasable_to,
    ),
    (
        "principal.level_rank <= resource.level_rank",
        lambda reader, cls, label, use: rank("NATO", reader.level) <= label_rank(label),
    ),
    ("resource.level_rank >= 3", lambda reader, cls, label, use: label_rank(label) >= 3),
    ('resource.topics.contains("cyber.apt")', lambda reader, cls, label, use: f"{cls.topic}.".startswith("cyber.apt.")),
    ('resource.kind == "imagery"', lambda reader, cls, label, use: cls.kind == "imagery"),
    ('resource.regions.containsAny(["AFR"])', lambda reader, cls, label, use: "AFR" in cls.regions),
    ('resource.handling.contains("ORCON")', lambda reader, cls, label, use: "ORCON" in label.handling),
    ('context.purpose == "judicial"', lambda reader, cls, label, use: reader.purpose == "judicial"),
    ('context.assurance == "token"', lambda reader, cls, label, use: reader.assurance.value == "token"),
    ('action == Action::"onward"', lambda reader, cls, label, use: use is Use.ONWARD),
    ('principal.agency like "NOR/*"', lambda reader, cls, label, use: reader.agency.startswith("NOR/")),
]


def negated(one):
    text, test = one
    return f"!({text})", lambda *facts: not test(*facts)


def joined(one, other):
    return f"({one[0]}) && ({other[0]})", lambda *facts: one[1](*facts) and other[1](*facts)


def either(one, other):
    return f"({one[0]}) || ({other[0]})", lambda *facts: one[1](*facts) or other[1](*facts)


simple = st.sampled_from(PLAIN)
conditions = st.recursive(
    simple,
    lambda inner: st.one_of(
        st.builds(negated, inner), st.builds(joined, inner, inner), st.builds(either, inner, inner)
    ),
    max_leaves=4,
)
# Mostly of the one whose reports most worlds are about.
owned = st.dictionaries(
    st.sampled_from(["GBR"] * 6 + ["NOR", "DNK"]), st.lists(conditions, min_size=1, max_size=3), max_size=2
)


def twins_of(caveats):
    return {member: [test for _, test in own] for member, own in caveats.items()}


def law_with_caveats(caveats):
    """Return the law without guards of its own, and with these caveats in force."""
    law = rules_only_law()
    texts = {
        member: "".join(guard(f"{member.lower()}.{place}", text) for place, (text, _) in enumerate(own))
        for member, own in caveats.items()
    }
    return law.with_national(stored_national(member, text, law) for member, text in texts.items())
