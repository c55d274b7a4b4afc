"""The originator's consent as a decision reads it: part of the class, alive or not at the reader's moment.

A consent names a member, labels, purposes and an end. It opens nothing by itself: it answers "not a party", "not
releasable" and, where it names the purpose, "not for this purpose"; every other rule holds as it does for anybody.
"""

from exchange.agreements import OnwardRelease
from exchange.markings import Label
from exchange.release.facts import ClassFacts, Consent, ReaderFacts, ScopeFacts


def live_consents(cls: ClassFacts, reader: ReaderFacts) -> tuple[Consent, ...]:
    """Return the consents that hold for this reader's member and purpose now; its end is the first moment too late."""
    if not cls.consents:
        return ()
    return tuple(consent for consent in cls.consents if _is_live(consent, reader))


def consented_labels(cls: ClassFacts, reader: ReaderFacts, scope: ScopeFacts | None) -> frozenset[Label]:
    """Return the labels that the originator has released to the reader's member.

    None where the agreement says that nothing goes on to others, ever: what all have signed no one of them lifts.
    """
    if not cls.consents:
        return frozenset()
    never = scope is None or scope.onward_release is OnwardRelease.NEVER
    if never and not stands_alone(cls, reader, scope):
        return frozenset()
    return frozenset(label for consent in live_consents(cls, reader) for label in consent.labels)


def is_for_purpose(cls: ClassFacts, reader: ReaderFacts, label: Label) -> bool:
    """Return whether a consent that names the reader's purpose covers `label`."""
    live = live_consents(cls, reader)
    return any(label in consent.labels and reader.purpose in consent.purposes for consent in live)


def stands_alone(cls: ClassFacts, reader: ReaderFacts, scope: ScopeFacts | None) -> bool:
    """Return whether the reader's member may read under the scope without anybody's consent."""
    if scope is None or reader.member not in scope.active_parties:
        return False
    return reader.member == cls.originator or reader.member in scope.readers


def _is_live(consent: Consent, reader: ReaderFacts) -> bool:
    is_in_time = consent.until_micros is None or reader.at_micros < consent.until_micros
    is_for = not consent.purposes or reader.purpose in consent.purposes
    return consent.member == reader.member and is_in_time and is_for
