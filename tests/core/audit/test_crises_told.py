"""What the entry of a crisis says of its row."""

from typing import Any

from exchange.audit import EventName
from exchange.audit.rows_told import RowKind, RowName, rows_told

DECLARED: dict[str, Any] = {
    "id": "e1",
    "type": EventName.CRISIS_DECLARED.value,
    "decision": "permitted",
    "ts": "2026-06-01T12:00:00Z",
    "agreement": "a1",
    "detail": {"crisis": "k1", "edition": 2, "clause": "storm-watch", "until": "2026-06-02T12:00:00Z", "reason": "r"},
}


def test_crisis_says_what_is_open_and_when() -> None:
    (told,) = rows_told(DECLARED)  # type: ignore[arg-type]  # as much of an entry as counts

    assert told.name == RowName(RowKind.CRISIS, "k1")
    assert told.says == {
        "agreement": "a1",
        "opened": "2026-06-01T12:00:00Z",
        "edition": 2,
        "clause": "storm-watch",
        "until": "2026-06-02T12:00:00Z",
    }
    assert rows_told({**DECLARED, "detail": {"crisis": 7}}) == ()  # type: ignore[arg-type]
