"""A request for information, judged like a report: the clause that it stands under, turned round.

A report goes from the contributors of a scope to its readers; a request goes from a reader to contributors. Everything
else is the same question: agreement in force, topic, ceiling, clearance, compartments, label, caveats, guards.
"""

from collections.abc import Collection
from dataclasses import replace

from exchange.members import Role
from exchange.release.facts import ReaderFacts, ScopeFacts


def request_scope(
    scope: ScopeFacts | None, *, asked: Collection[str], contributors: Collection[str]
) -> ScopeFacts | None:
    """Return the clause as it holds for a request: read by whoever was asked and still contributes.

    A crisis opens reports and no request: else its readers would read what asks others, or was withdrawn.
    """
    if scope is None:
        return None
    return replace(scope, readers=frozenset(asked).intersection(contributors), crises=())


def as_asked(reader: ReaderFacts, *, asker: str) -> ReaderFacts:
    """Return the client as it reads a request: among the asked, who contributes reads what it is to answer."""
    if reader.member == asker or Role.CONTRIBUTOR not in reader.roles:
        return reader
    return replace(reader, roles=reader.roles | {Role.READER})
