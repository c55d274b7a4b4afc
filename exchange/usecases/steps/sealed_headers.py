"""What is sealed of a report: it opens for the class, place, version and end that the row has, or not at all.

A row says which release class a report is of, and whoever owns the database writes rows. What is sealed does not say
it after them: so nothing is decided by a row alone, and this is where that is asked.
"""

from collections.abc import Iterable
from contextlib import suppress

from exchange.crypto import CryptoError, OpeningError, header_context
from exchange.custody import KeyMissingError
from exchange.kernel import UnavailableError, rfc3339
from exchange.store import BlobMissingError, ClassRow, Parts, ReportRow
from exchange.usecases.steps.altered_classes import class_of, whole_classes
from exchange.usecases.steps.context import Services
from exchange.usecases.steps.log_words import LogWord, word_until_now

UNOPENED = (CryptoError, KeyMissingError, BlobMissingError)
"""What is raised where a row's ciphertext, suite, key and place do not belong together, or one of them is gone."""


async def sealed_header_json(services: Services, report: ReportRow, kept: ClassRow) -> bytes:
    """Return the whole header of a report as it is sealed.

    Raises one of `UNOPENED`, unrecorded, where `kept` is not its class, or the end of validity on the row not the one
    that its originator gave.
    """
    context = header_context(report.id, report.version, kept.digest)
    (header_json,) = await services.custodian.open_headers([(report, context)])
    require_end_as_sealed(report, header_json)
    services.knowledge.decoy = report
    return header_json


def require_end_as_sealed(row: ReportRow, header_json: bytes) -> None:
    """Raise OpeningError where the end of validity that a decision reads is not the one that the originator gave."""
    until = row.valid_until
    told = b'"valid_until":null,' if until is None else b'"valid_until":"%b",' % rfc3339(until).encode()
    if told not in header_json:
        raise OpeningError("the end of validity on the row is not the sealed one")


async def open_decoy(services: Services) -> None:
    """Do for a report that is not there what is done for one that is another's: else the time tells the two apart.

    What costs is done with a report that opened lately, and thrown away. Until this process has opened one, nothing is.
    """
    decoy = services.knowledge.decoy
    # INVARIANT: while custody is away the answer is the one for what is another's, and no fault.
    with suppress(*UNOPENED, ValueError, UnavailableError):
        if decoy is not None:
            await sealed_header_json(services, decoy, await class_of(services, decoy.class_id))


async def sealed_class(services: Services, report: ReportRow) -> ClassRow:
    """Return the release class of a report as it is sealed, or, once its header is destroyed, as the log has it whole.

    Raises one of `UNOPENED`, unrecorded, where neither says that it is the class of the row.
    """
    kept = await class_of(services, report.class_id)
    if report.sealed_header:
        await sealed_header_json(services, report, kept)
        return kept
    word = await word_until_now(services, report.id)
    if word is None or word.label is None or not word.fits(kept.facts):
        raise _another_class()
    return kept


async def known_class(services: Services, report: ReportRow) -> ClassRow:
    """Return the release class of a report as it is sealed, or as far as the log knows it.

    For its originator and for auditors, who act on what is damaged too; they are shown nothing of it. What was moved
    away is of the class that it is sealed for, which its row does not name then. Raises as `sealed_class`.

    Steps: (1) the row's class, where what is sealed opens for it; (2) the one that it opens for; (3) the row's, where
    the log says nothing against it; (4) of what was moved and opens for none, the one that the log knows whole.
    """
    kept = await class_of(services, report.class_id)
    try:
        # (1) where it stands
        await sealed_header_json(services, report, kept)
        return kept
    except UNOPENED as exc:
        word = await word_until_now(services, report.id)
        if not report.sealed_header and word is not None and word.fits(kept.facts):
            return kept  # (3) alone: it has ended, and nothing is sealed
        fitting = [] if word is None else await _fitting(services, word)
        # (2) as it is sealed
        found = await sealed_for(services, report, fitting)
        if found is not None:
            return found
        # (3) as far as the log says
        if word is not None and word.fits(kept.facts):
            return kept
        # (4) whole in the log
        if word is None or word.label is None or not fitting:
            raise _another_class() from exc
        return fitting[0]


async def _fitting(services: Services, word: LogWord) -> list[ClassRow]:
    """Return the classes of which a report may be that is what the log says, in the order in which they came."""
    classes = await whole_classes(services, (await services.store.caller("")).state)
    return sorted((each for each in classes.values() if word.fits(each.facts)), key=lambda each: each.id)


async def sealed_for(services: Services, report: ReportRow, classes: Iterable[ClassRow]) -> ClassRow | None:
    """Return the class that the header of a report is sealed for; None where it opens for none of these."""
    for each in classes if report.sealed_header else ():
        try:
            await services.custodian.open_headers([(report, header_context(report.id, report.version, each.digest))])
        except CryptoError:
            continue
        except KeyMissingError:
            return None
        return each
    return None


async def owner_of(services: Services, report_id: str) -> str | None:
    """Return whose report it is, as `known_class` or the log says; None where there is none, or neither says it."""
    report = (await services.store.report_for("", report_id, parts=Parts.NONE)).report
    if report is None:
        await open_decoy(services)
        return None
    try:
        return (await known_class(services, report)).facts.originator
    except (*UNOPENED, ValueError):
        word = await word_until_now(services, report_id)
        return None if word is None else word.originator


async def require_not_contradicted(services: Services, report: ReportRow, kept: ClassRow) -> None:
    """Raise OpeningError where the log says that a report that has ended was of another class than `kept`."""
    word = await word_until_now(services, report.id)
    if word is not None and not word.fits(kept.facts):
        raise _another_class()


def _another_class() -> OpeningError:
    return OpeningError("a report is of another release class than its row says")
