"""Entries at their places, as exports are given them: one with everything, a bare one, and generated ones."""

import dataclasses
import hashlib
from datetime import UTC, datetime

from hypothesis import strategies as st

from exchange.audit import LOCAL_SOURCES, Actor, EntryDraft, EventName, Outcome, Subject, parse_entry, seal_entry
from exchange.audit.export import ExportedEntry, Place, Statement

AT = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)
MILLISECONDS = 1_772_366_400_250
LABEL = {
    "policy": "NATO",
    "classification": "SECRET",
    "compartments": ["ATOMAL"],
    "releasable_to": ["GBR", "NOR"],
    "handling": ["ORCON"],
}
FULL = EntryDraft(
    EventName.REPORT_READ,
    Outcome.REFUSED,
    AT,
    Actor("client", "client-1", "NOR", "NOR/NSM", "ab" * 32, "SECRET", ("ATOMAL",), certificate_subject="CN=a"),
    "request-1",
    "10.0.0.9",
    user_agent="tool/1",
    subject=Subject("report", "report-1", 2),
    owner="GBR",
    label=LABEL,
    agreement="agreement-1",
    scope="cyber-threats",
    purpose="defence",
    policies=("agreement-1", "guards@3"),
    reasons=("not-a-party", "recalled"),
    size_bytes=8192,
    result_ids=("r1", "r2"),
    detail={"note": "n", "count": 3, "names": ["a", "b"]},
)
BARE = EntryDraft(EventName.CALLER_AUTHENTICATED, Outcome.REFUSED, AT, Actor("unknown"), "request-1", "10.0.0.9")
STATEMENT = Statement("2026-03-01T12:00:00Z", None, "1.3", "1.9", 5, "1.12", "origin\n12\nroot\n\n— origin sig\n")

# Each of these does something in a tool that takes a line apart or shows it.
HOSTILE = (
    '=HYPERLINK("http://x","y")',
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(1)",
    "\t=1",
    "\r=1",
    "a;=1+1;b",
    'a",=1+1,"b',
    "a|=1",
    "\uff1d1+1",
    "a|b=c\\d",
    "line\nCEF:0|x|y|z|1|forged|10|",
    'a" forged="1',
    'a] [forged@1 x="y"]',
    "back\\slash\\",
    "\\u003d1",
    "\\",
    "\u202egnp.exe",
    "\u2028next\u2029",
    "\x1b[31mred\x1b[0m\x7f\x85",
    "\ufeffmark\u200bhidden",
    "\U000e0041tag",
)
TEXT = st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40))


def at_place(draft: EntryDraft, position: int = 7, **changes: object) -> ExportedEntry:
    """Return `draft` sealed, as the entry at `position`, with its personal data revealed."""
    given = dataclasses.replace(draft, **changes)
    sealed = seal_entry(given, entry_id="entry-1", node="node-a", boot="boot-1", node_seq=5)
    leaf = hashlib.sha256(b"\0" + sealed.content).digest()
    personal = {} if given.source in LOCAL_SOURCES else {"source": given.source}
    actor = given.actor
    kept = {
        "thumbprint": actor.thumbprint,
        "certificate_subject": actor.certificate_subject,
        "user_agent": given.user_agent,
    }
    personal |= {name: value for name, value in kept.items() if value}
    return ExportedEntry(Place(1, position), leaf, parse_entry(sealed.content), sealed.content, personal=personal)


def with_text(text: str) -> ExportedEntry:
    """Return an entry that holds `text` wherever text from outside can stand."""
    return at_place(
        FULL,
        actor=Actor("client", text, text, text, text, text, (text,), certificate_subject=text),
        user_agent=text,
        request_id=text,
        source=text,
        subject=Subject(text, text, 2),
        owner=text,
        label={
            "policy": text,
            "classification": text,
            "compartments": [text],
            "releasable_to": [text],
            "handling": [text],
        },
        agreement=text,
        scope=text,
        purpose=text,
        policies=(text,),
        reasons=(text,),
        result_ids=(text,),
        detail={"note": text},
    )


def hiding(exported: ExportedEntry, *names: str, extent: str = "others") -> ExportedEntry:
    """Return the entry as a reader sees it from whom `names` are withheld."""
    entry = {name: value for name, value in exported.entry.items() if name not in names}
    return dataclasses.replace(exported, entry=entry, content=None, extent=extent)


def least_of(exported: ExportedEntry) -> ExportedEntry:
    """Return the entry as the reader sees it who may see the least."""
    exported = dataclasses.replace(exported, personal={})
    return hiding(exported, *(exported.entry.keys() - {"v", "id", "ts", "type", "decision", "actor"}), extent="refusal")
