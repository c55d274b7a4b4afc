"""Audit: what happened, as bytes that can be proved.

Promises: event names are a closed list; every draft becomes one canonical byte string, whatever a caller
sent; the columns are computed from those bytes alone, so that a verifier can compare them.
Does not: store, number or order entries (the store does), or decide what must be recorded (use cases do).
"""

from exchange.audit.columns import EntryColumns
from exchange.audit.draft import Actor, EntryDraft, Subject
from exchange.audit.entry import LARGEST_RESULT_IDS_BYTES, SealedEntry, columns_of, parse_entry, seal_entry
from exchange.audit.events import EventName, Outcome
from exchange.audit.receipt import Receipt
from exchange.audit.shape import ENTRY_VERSION, LARGEST_ENTRY_BYTES, Entry
from exchange.audit.text import LONGEST_TEXT, fit_text

__all__ = [
    "ENTRY_VERSION",
    "LARGEST_ENTRY_BYTES",
    "LARGEST_RESULT_IDS_BYTES",
    "LONGEST_TEXT",
    "Actor",
    "Entry",
    "EntryColumns",
    "EntryDraft",
    "EventName",
    "Outcome",
    "Receipt",
    "SealedEntry",
    "Subject",
    "columns_of",
    "fit_text",
    "parse_entry",
    "seal_entry",
]
