"""Which keys of custody the log tells of: a version that nobody put on record was put into a key file by hand."""

from exchange.audit import EventName, Subject
from exchange.custody import CustodyStatus
from exchange.usecases.steps.context import Services
from exchange.usecases.steps.told_entries import told_until_now


async def recorded_version(services: Services, custody: CustodyStatus, version: int) -> str | None:
    """Return which key the log says was added as a version, whichever node added it; None where it says nothing."""
    subject = version_subject(custody, version)
    # One that is damaged says nothing: it must not keep a key that leaked in use for ever.
    async for entry in told_until_now(services, EventName.KEY_CREATED, subject=subject.id):
        if entry.get("object") == {"type": subject.kind, "id": subject.id}:
            return str(entry.get("detail", {}).get("fingerprint"))
    return None


def version_subject(custody: CustodyStatus, version: int) -> Subject:
    """Return how entries name one version of a custodian's keys."""
    return Subject("key", f"{custody.kind}/{version}")
