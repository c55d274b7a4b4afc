"""What the entry of a subscription says of its row: whose it is."""

from typing import Any

from exchange.audit import EventName
from exchange.audit.rows_told import RowKept, contradiction, rows_told


def test_subscription_is_of_the_client_that_made_it() -> None:
    made: Any = {
        "id": "e1",
        "type": EventName.SUBSCRIPTION_ADDED.value,
        "decision": "permitted",
        "object": {"type": "subscription", "id": "s1"},
        "actor": {"kind": "client", "id": "c1"},
    }
    (told,) = rows_told(made)
    others = [contradiction(told, row) for row in (RowKept(0, says={0: {"client": "c2"}}), None)]

    assert str(told.name) == "subscription s1"
    assert contradiction(told, RowKept(0, says={0: {"client": "c1"}})) is None
    assert contradiction(told, RowKept(0, is_over=True, says={0: {"client": "c1"}})) is None
    assert [each and each.why for each in others] == [
        "`client` in version 0 is another than `subscription.added` put there",
        "its row is gone, and `subscription.added` is in the log",
    ]
