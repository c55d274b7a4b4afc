"""Slices: what of an entry an auditor may see. Pure; the one place that says it, row by row.

The exchange's auditor sees every entry. A member's auditor sees what its own clients did, and what anybody did to its
member's own reports, clients and agreements, complete and no more. Nobody sees an entry whose label its clearance does
not cover, not even as a stub: a stub would count what it hides.

Where an entry has no label of its own, the reports that it names speak for themselves: of a list that a client was
shown an auditor sees those that its clearance covers, and of other lists no ids unless it is cleared for all.

What a view may hold is listed here field by field: a field that entries gain later is in no narrowed view until it is
added below.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final, cast

from exchange.audit.events import EventName, Outcome
from exchange.audit.shape import Entry

Label = Mapping[str, str | list[str]]


class Extent(Enum):
    """How much of an entry is shown: all of it; what others did, without their personal data; a refusal, no more.

    CLEARED: all but what the auditor is not cleared for, or its client was not told: ids in a list, the own number of
    a part that readers may know by another one.
    """

    WHOLE = "whole"
    CLEARED = "cleared"
    OTHERS = "others"
    REFUSAL = "refusal"


@dataclass(frozen=True, slots=True)
class Auditor:
    """Who looks: the auditor of one member, or of the exchange itself (`member` None).

    `covers` says whether its clearance, as of now, covers a label; False for what no policy knows.
    """

    member: str | None
    covers: Callable[[Label], bool]


@dataclass(frozen=True, slots=True)
class EntryView:
    """What one auditor may see of an entry: fields as in the entry, those withheld left out."""

    extent: Extent
    fields: Mapping[str, object]

    @property
    def detail(self) -> Mapping[str, object]:
        """Return what it shows besides; nothing where it shows no detail."""
        return cast("Mapping[str, object]", self.fields.get("detail", {}))


# What the originator may know of other members' clients: who they are, not from where they came or what they hold.
_OF_OTHERS = frozenset(
    (
        *("v", "id", "ts", "type", "decision", "member", "agency", "object", "owner", "label", "agreement", "scope"),
        *("policies", "reasons", "purpose", "bytes", "detail"),
    )
)
_ACTOR_OF_OTHERS = frozenset({"kind", "id"})

# What a refused client sent, and that it was refused. INVARIANT: nothing here differs between what is absent and what
# stayed invisible; `purpose` and the object's version stand in an entry only where there was something to judge.
_OF_REFUSAL = frozenset(
    (
        *("v", "id", "ts", "node", "boot", "node_seq", "type", "decision", "actor", "member", "agency", "clearance"),
        *("request_id", "source"),
    )
)
_OBJECT_OF_REFUSAL = frozenset({"type", "id"})
# What the refused client was answered, and how often alike; `inactive`, whose standing it was, lies in the caller.
_DETAIL_OF_REFUSAL = frozenset({"codes", "method", "route", "code", "count", "inactive"})

_LISTS_OF_REPORTS = frozenset(
    event.value for event in (EventName.REPORT_LISTED, EventName.NOTICE_LISTED, EventName.DESTRUCTION_LISTED)
)
_RESULTS = frozenset({"result_count", "result_ids", "result_ids_sha256"})
_UNCLASSIFIED_LISTS = frozenset(event.value for event in (EventName.CAVEATS_LISTED, EventName.PROXY_LISTED))
"""Of what has no label: a member's own caveats, and consents to post for it."""
_TELLING = {
    EventName.UPLOAD_LISTED.value: "open",
    EventName.CAVEATS_CHECKED.value: "changes",
    EventName.AUDIT_SEARCHED.value: "subject",
    EventName.AUDIT_EXPORTED.value: "subject",
}
"""What in a detail tells of reports: how many a client has under way, how many changes caveats would make; and what a
colleague looked for, who may be cleared for more."""

OF_TEAR_LINE: Final = {"shown": "tear-line"}
"""In the detail of an entry whose `label` is the tear-line's that was shown, which is not the report's own."""

TOLD_REASONS = frozenset({"not-authenticated", "role-missing", "client-suspended", "weak-assurance"})
"""Reasons that lie in the caller alone: it was told them, whatever it asked for."""


def view_of(entry: Entry, auditor: Auditor) -> EntryView | None:
    """Return what `auditor` may see of `entry`; None where for it there is no such entry.

    1. The exchange's auditor: the whole, if its clearance covers the label.
    2. Neither its own client's nor about anything its member owns: nothing.
    3. Permitted, or about its own, and the label is covered: the whole of its own client's; of others, without theirs.
    4. Its own client's refusal or failure: what was sent, whatever the label, which is not shown.
    5. Otherwise nothing.
    """
    is_covered = "label" not in entry or auditor.covers(entry["label"])
    # (1) everything that it is cleared for
    if auditor.member is None:
        return EntryView(Extent.WHOLE, dict(entry)) if is_covered else None
    # (2) nothing of others between others
    is_own_act = entry.get("member") == auditor.member
    is_about_own = owns(entry, auditor.member)
    if not is_own_act and not is_about_own:
        return None
    # (3) what may be known whole
    is_permitted = entry["decision"] == Outcome.PERMITTED.value
    if (is_permitted or is_about_own) and is_covered:
        if not is_own_act:
            return _of_others(entry)
        whole = EntryView(Extent.WHOLE, dict(entry))
        # How many parts a report has beside those that its reader is shown is its originator's to know.
        return whole if is_about_own else _without_own_number(whole)
    # (4) what its own client was told
    if is_own_act and not is_permitted:
        return _refusal(entry)
    # (5) permitted above its clearance, or about its own above it
    return None


def reports_named(view: EntryView) -> frozenset[str]:
    """Return the ids of reports that a view names and that no label of its entry speaks for, or not for all of it."""
    shown = view.fields
    # What a refused client sent is its own to know, whatever it names.
    if view.extent is Extent.REFUSAL or ("label" in shown and not _is_of_tear_line(view)):
        return frozenset()
    held = cast("Mapping[str, str]", shown.get("object", {}))
    listed = cast("list[str]", shown.get("result_ids", [])) if shown["type"] in _LISTS_OF_REPORTS else []
    return frozenset((*listed, *((held["id"],) if held.get("type") == "report" else ())))


def without_hidden(entry: Entry, view: EntryView, hidden: Collection[str]) -> EntryView | None:
    """Return the view of an auditor that is not cleared for all, to which the reports in `hidden` do not exist.

    `hidden` are those of `reports_named` of which nothing says that its clearance covers them. None where there is no
    such entry then.
    """
    shown = view.fields
    held = cast("Mapping[str, str]", shown.get("object", {}))
    if view.extent is Extent.REFUSAL or "label" in shown:
        return _without_own_number(view) if _is_of_tear_line(view) and held.get("id") in hidden else view
    if held.get("type") == "report":
        # As `view_of` (4) and (5), where a label says so. INVARIANT: a try for a report that is not there, which no
        # entry names an owner of, is shown as one for a hidden one: else how much is shown tells that there is one.
        is_refusal_of_own = view.extent is Extent.WHOLE and entry["decision"] != Outcome.PERMITTED.value
        if is_refusal_of_own and (held["id"] in hidden or "owner" not in entry):
            return _refusal(entry)
        if held["id"] in hidden:
            return None
    if shown["type"] == EventName.AUDIT_READ.value and held.get("type") == "entry":
        # Which entry a colleague looked at: it may be one above this auditor.
        return _cleared_without(view, "object")
    if (telling := _TELLING.get(str(shown["type"]))) in view.detail:
        rest = _but(view.detail, telling)
        cut = _cleared_without(view, "detail")
        view = replace(cut, fields={**cut.fields, "detail": rest}) if rest else cut
    if _RESULTS.isdisjoint(shown) or shown["type"] in _UNCLASSIFIED_LISTS:
        return view
    return _without_ids(view, hidden)


def _is_of_tear_line(view: EntryView) -> bool:
    return OF_TEAR_LINE.items() <= view.detail.items()


def _without_own_number(view: EntryView) -> EntryView:
    """Return a view with a part by the number alone that its reader asked for; of what is no part, as it is."""
    if not {"part", "asked"} <= view.detail.keys():
        return view
    # INVARIANT: also where the two are the same: else it would tell where they are not.
    cut = _cleared_without(view, "detail") if view.extent is Extent.WHOLE else view
    return replace(cut, fields={**cut.fields, "detail": _but(view.detail, "part")})


def _cleared_without(view: EntryView, name: str) -> EntryView:
    # And without the random bytes that keep its leaf hash from being guessed.
    return EntryView(Extent.CLEARED, _but(view.fields, name, "pii"))


def _without_ids(view: EntryView, hidden: Collection[str]) -> EntryView:
    # INVARIANT: every list is cut so, and without the random bytes that keep its leaf hash from being guessed: whether
    # an id is missing from it cannot be told. The ids of a very long one are not in it: it has nothing to show.
    fields = _but(view.fields, "pii", *_RESULTS)
    listed = view.fields.get("result_ids", []) if fields["type"] in _LISTS_OF_REPORTS else []
    kept = [each for each in cast("list[str]", listed) if each not in hidden]
    if "in_crisis" in view.detail:
        fields = _of_one_crisis(fields, view.detail, kept)
    return EntryView(Extent.CLEARED, {**fields, "result_count": len(kept), "result_ids": kept})


def _of_one_crisis(
    fields: Mapping[str, object], detail: Mapping[str, object], kept: Collection[str]
) -> dict[str, object]:
    """Return a list with those of `kept` that a crisis alone showed; where that tells of others, as one without any."""
    shown = [each for each in cast("list[str]", detail["in_crisis"]) if each in kept]
    # INVARIANT: no crisis is named for what is not shown. Of several crises nothing says which showed which report.
    if shown and len(cast("list[str]", fields.get("policies", []))) == 1:
        return {**fields, "detail": {**detail, "in_crisis": shown}}
    return _but(fields, "policies", "detail")


def owns(entry: Entry, member: str) -> bool:
    """Return whether the entry is about a report, client or agreement of `member`: originator, owner or party."""
    if entry.get("owner") == member:
        return True
    parties = entry.get("detail", {}).get("parties", [])
    is_agreement = "object" in entry and entry["object"]["type"] == "agreement"
    return is_agreement and isinstance(parties, list) and member in parties


def _of_others(entry: Entry) -> EntryView:
    fields = _only(entry, _OF_OTHERS)
    if "inactive" in entry.get("detail", {}):
        # Whether another state was suspended or one of its clients is its own and the exchange's to know.
        fields["detail"] = _but(entry["detail"], "inactive")
    return EntryView(Extent.OTHERS, {**fields, "actor": _only(entry["actor"], _ACTOR_OF_OTHERS)})


def _refusal(entry: Entry) -> EntryView:
    fields = _only(entry, _OF_REFUSAL)
    if "object" in entry:
        fields["object"] = _only(entry["object"], _OBJECT_OF_REFUSAL)
    if detail := _only(entry.get("detail", {}), _DETAIL_OF_REFUSAL):
        fields["detail"] = detail
    reasons = entry.get("reasons", [])
    # Something was judged where there is a label: what follows from that is not the caller's to know.
    if reasons and TOLD_REASONS.issuperset(reasons) and "label" not in entry:
        fields["reasons"] = list(reasons)
    return EntryView(Extent.REFUSAL, fields)


def _but(fields: Mapping[str, object], *names: object) -> dict[str, object]:
    return {name: value for name, value in fields.items() if name not in names}


def _only(fields: object, names: frozenset[str]) -> dict[str, object]:
    given = cast("Mapping[str, object]", fields)
    return {name: value for name, value in given.items() if name in names}
