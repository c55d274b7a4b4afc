"""What the entry of a breach says of its row."""

from typing import Any

from exchange.audit import EventName
from exchange.audit.rows_told import RowKind, RowName, rows_told


def breached(**fields: Any) -> Any:
    return {"id": "e1", "type": EventName.DUTY_BREACHED.value, "decision": "failed", **fields}


def test_breach_says_all_that_its_row_does() -> None:
    detail = {
        "breach": "b1",
        "kind": "acknowledgement",
        "party": "NOR",
        "owed_to": "GBR",
        "due": "then",
        "report": "r1",
    }
    label = {"policy": "NATO"}
    given = breached(detail=detail, label=label, agreement="a1", scope="cyber")
    (told,) = rows_told(given)

    assert told.name == RowName(RowKind.BREACH, "b1")
    said = {name: value for name, value in detail.items() if name != "breach"}
    assert told.says == {**said, "label": label, "agreement": "a1", "scope": "cyber"}
    assert rows_told(breached(detail={})) == ()
