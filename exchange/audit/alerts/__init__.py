"""Alerts: what of the log a person should look at now. Pure: rules, entries and what is remembered in, alerts out.

Promises: the same entries in the same order give the same alerts, however they are cut into batches, so that whoever
has the log can find out whether an alert was kept from them. What is remembered is text for the store to keep.
Does not: read the log, keep anything, send anything, or decide who may see an alert (its entry's slice does).
"""

from exchange.audit.alerts.entries import MOST_EVIDENCE, Counted, counted, evaluate, keys_of
from exchange.audit.alerts.memory import Key
from exchange.audit.alerts.model import Alert, Evaluation
from exchange.audit.alerts.observing import Sight, observe
from exchange.audit.alerts.rules import (
    AfterRevocation,
    AlertRules,
    Condition,
    FirstAddress,
    FirstCertificate,
    Hours,
    LogBehind,
    LogFrozen,
    MassPulls,
    NodeSilent,
    Occurrence,
    OutOfHours,
    ReadAfterChange,
    RefusalBurst,
    Rule,
    Severity,
    TwoAddresses,
    WitnessBehind,
    WorkingHours,
)

__all__ = [
    "MOST_EVIDENCE",
    "AfterRevocation",
    "Alert",
    "AlertRules",
    "Condition",
    "Counted",
    "Evaluation",
    "FirstAddress",
    "FirstCertificate",
    "Hours",
    "Key",
    "LogBehind",
    "LogFrozen",
    "MassPulls",
    "NodeSilent",
    "Occurrence",
    "OutOfHours",
    "ReadAfterChange",
    "RefusalBurst",
    "Rule",
    "Severity",
    "Sight",
    "TwoAddresses",
    "WitnessBehind",
    "WorkingHours",
    "counted",
    "evaluate",
    "keys_of",
    "observe",
]
