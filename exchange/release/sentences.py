"""What each rule says, passed and refused, to somebody who is tired.

No sentence names another recipient, a compartment, or the level of what was withheld.
"""

from collections.abc import Mapping

GUARDS_NAME = "guards"
FAILED_SENTENCE = "This rule could not be answered, and what cannot be answered is refused."
CONSENT_SENTENCE = "{originator}, whose intelligence this is, has released it to {member} by its signed consent."
CRISIS_READER_SENTENCE = "A crisis is open in the scope `{scope}`, and lets {member} read until it ends."
CRISIS_CEILING_SENTENCE = "A crisis is open in the scope `{scope}`, and lifts its ceiling until it ends."
NOT_SHOWN_SENTENCE = "This depends on the reading client itself; its own member can tell."

_SENTENCES: Mapping[str, tuple[str, str]] = {
    "reader-role": (
        "The client has the role `reader`.",
        "The client lacks the role `reader`, or is an operator or auditor and so can never read a report.",
    ),
    "client-active": ("The client is active.", "The client, or its member {member}, is suspended or revoked."),
    "agreement-known": (
        "The report was posted under the scope `{scope}` of an agreement on record.",
        "There is no agreement with the scope `{scope}` on record for this report.",
    ),
    "agreement-in-force": ("The agreement is in force.", "The agreement is not in force now."),
    "reader-is-party": (
        "{member} is an active party to the agreement.",
        "{member} is no active party to the agreement: it never signed, or it has suspended or left.",
    ),
    "reader-in-scope": (
        "The scope lets {member} read, or the report is its own.",
        "The scope `{scope}` does not name {member} as a reader.",
    ),
    "originator-is-party": (
        "{originator}, whose intelligence this is, is an active party to the agreement.",
        "{originator}, whose intelligence this is, has suspended or left the agreement, or had since this came.",
    ),
    "topic-in-scope": (
        "The topic `{topic}` lies in the scope.",
        "The topic `{topic}` lies outside the scope `{scope}`.",
    ),
    "regions-in-scope": (
        "Every region of the report lies in the scope.",
        "A region of the report lies outside the scope `{scope}`.",
    ),
    "kind-in-scope": ("The kind `{kind}` is in the scope.", "The kind `{kind}` is not in the scope `{scope}`."),
    "purpose-allowed": (
        "The scope allows the purpose `{purpose}`.",
        "The scope `{scope}` does not allow the purpose `{purpose}`, or the client is not registered for it.",
    ),
    "clearance-current": ("The clearance is valid now.", "The clearance has ended or has not begun."),
    "not-recalled": ("The report has not been recalled.", "The originator has recalled the report."),
    "not-expired": ("The report has not expired.", "The report has expired."),
    "label-known": ("The law knows every marking of this label.", "The law does not know a marking of this label."),
    "assurance": (
        "The client is known surely enough for this level.",
        "The client came with a token: for this level it must come with its certificate.",
    ),
    "below-ceiling": (
        "The level does not exceed the ceiling of the scope.",
        "The level exceeds the ceiling of the scope `{scope}`.",
    ),
    "clearance-level": (
        "The clearance `{level}` is high enough.",
        "The clearance `{level}` is not high enough.",
    ),
    "compartments-held": (
        "The client holds every compartment asked for, and the scope allows it.",
        "A compartment is asked for that the client does not hold, or that the scope does not allow.",
    ),
    "releasable-to": ("The label releases this to {member}.", "The label does not release this to {member}."),
    "nationality": (
        "No nationality stands in the way.",
        "The label limits who may read it by nationality, and the client's, `{nationality}`, is outside.",
    ),
    "originator-control": (
        "No control of the originator stands in the way of this use.",
        "Passing this on, in a crisis too, needs the consent of {originator}.",
    ),
    "handling-caveats": (
        "Every handling caveat is kept.",
        "A handling caveat forbids the purpose `{purpose}`, or is one that the exchange has no rule for.",
    ),
    GUARDS_NAME: ("No guard forbids it.", "Forbidden by {guards}."),
}


def sentence_for(rule: str, words: Mapping[str, str], *, has_passed: bool) -> str:
    """Return what the rule called `rule` says, with the case's own `words` in it."""
    passed, refused = _SENTENCES[rule]
    return (passed if has_passed else refused).format_map(words)
