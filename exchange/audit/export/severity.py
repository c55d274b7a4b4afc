"""How much an entry asks for attention, before each format says it in numbers of its own."""

from enum import Enum

from exchange.audit.events import EventName
from exchange.audit.shape import Entry


class Severity(Enum):
    """From a thing that went as it should to one that somebody must look at now."""

    INFORMATIONAL = "informational"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


def severity_of(entry: Entry) -> Severity:
    """Return an alert's own severity where it states one, else what follows from how the entry ended."""
    if entry["type"] != EventName.ALERT_RAISED.value:
        return _BY_DECISION[entry["decision"]]
    stated = entry.get("detail", {}).get("severity")
    return Severity(stated) if isinstance(stated, str) and stated in _NAMES else Severity.HIGH


_NAMES = frozenset(severity.value for severity in Severity)
_BY_DECISION = {
    "permitted": Severity.INFORMATIONAL,
    "refused": Severity.MEDIUM,
    "failed": Severity.HIGH,
}
