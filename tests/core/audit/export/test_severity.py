"""How much an entry asks for attention, in the numbers of each format that has any."""

import json

import pytest

from exchange.audit import Outcome
from exchange.audit.export import cef, ocsf, syslog
from tests.core.audit.export.exported import BARE, at_place


def numbers(exported):
    """Return what CEF, syslog (13 is `log audit`, times eight) and OCSF say."""
    cef_says = cef.read_record(cef.entry_line(exported))[0][6]
    syslog_says = syslog.message(exported).partition(b">")[0].removeprefix(b"<")
    return int(cef_says), int(syslog_says) - 13 * 8, json.loads(ocsf.entry_line(exported))["severity_id"]


@pytest.mark.parametrize(
    ("outcome", "told"), [(Outcome.PERMITTED, (2, 6, 1)), (Outcome.REFUSED, (6, 4, 3)), (Outcome.FAILED, (8, 3, 4))]
)
def test_severity_follows_how_it_ended(outcome, told):
    assert numbers(at_place(BARE, outcome=outcome)) == told


@pytest.mark.parametrize(
    ("stated", "told"),
    [
        ("informational", (2, 6, 1)),
        ("low", (4, 5, 2)),
        ("medium", (6, 4, 3)),
        ("high", (8, 3, 4)),
        ("critical", (10, 1, 5)),
        # An alert that says none of these is one that somebody should look at.
        (None, (8, 3, 4)),
        ("loud", (8, 3, 4)),
        (5, (8, 3, 4)),
        (["low"], (8, 3, 4)),
    ],
)
def test_alert_states_its_own(stated, told):
    detail = {} if stated is None else {"severity": stated}
    exported = at_place(BARE, outcome=Outcome.PERMITTED, detail=detail)
    exported.entry["type"] = "alert.raised"

    assert numbers(exported) == told


def test_no_other_entry_states_one():
    assert numbers(at_place(BARE, outcome=Outcome.PERMITTED, detail={"severity": "critical"})) == (2, 6, 1)
