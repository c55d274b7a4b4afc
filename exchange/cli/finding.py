"""One thing that `exchange doctor` looked at."""

from dataclasses import asdict, dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: `ok`, `warning` (works, not for long) or `mend` (does not work, or is not safe)."""

    OK: ClassVar = "ok"
    WARNING: ClassVar = "warning"
    MEND: ClassVar = "mend"

    name: str
    state: str
    told: str
    mend: str | None = None

    def as_json(self) -> dict[str, object]:
        """Return the finding for programs; its name is its id."""
        return {"id": self.name, **asdict(self)}
