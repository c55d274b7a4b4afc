"""What a person reads: no value as the program writes it."""

import inspect
import json
import sys
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace

import pytest
from pydantic import JsonValue
from rich.text import Text

from exchange.cli import audit_alerts, audit_search, compliance, output, requests
from exchange.cli.agreement_group import parties_of
from exchange.cli.consents import show_consent
from exchange.cli.reports import show_posted
from exchange.wire import ErasureBody, HeaderBody, LabelBody, OnwardBody, PartyBody, RequestShownBody, ShownEntryBody

ID = "01a20000-0000-7000-8000-000000000001"
COLUMNS = ("id", "posted", "marking", "subject")
ROW = (ID, datetime(2026, 1, 1, tzinfo=UTC), "NATO SECRET//REL TO GBR, NOR", "Signed updates carry a backdoor")


def on_terminal(patch: pytest.MonkeyPatch, columns: int) -> None:
    patch.setattr(sys.stdout, "isatty", lambda: True)
    patch.setenv("COLUMNS", str(columns))
    patch.setenv("TERM", "xterm")


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, "-"),
        ([], "-"),
        (True, "yes"),
        (False, "no"),
        (0, "0"),
        (["GBR", "NOR"], "GBR, NOR"),
        (("SECRET",), "SECRET"),
        (datetime(2026, 1, 1, 10, 0, 0, 7, UTC), "2026-01-01 10:00:00Z"),
        (datetime(2026, 1, 1, 10, tzinfo=timezone(timedelta(hours=2))), "2026-01-01 08:00:00Z"),
        ("a\x1b[31mb", "a\ufffd[31mb"),
    ],
)
def test_record_is_told_in_words(capsys: pytest.CaptureFixture[str], value: object, told: str) -> None:
    output.show_record({"it": value})

    assert capsys.readouterr().out.split(maxsplit=1)[1].strip() == told


def test_names_and_titles_steer_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    sent = "a\x1b]52;c;aGk=\x07\u202eb"

    output.show_record({sent: 1}, title=sent)
    output.show_table(("it",), [(1,)], title=sent)

    told = capsys.readouterr().out
    assert told.count("a\ufffd]52;c;aGk=\ufffd\ufffdb") == len((sent, sent, sent))
    assert not {"\x1b", "\x07", "\u202e"} & set(told)


def test_narrow_terminal_breaks_no_id(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    on_terminal(monkeypatch, 80)

    output.show_table((*COLUMNS, "why"), [(*ROW, ""), (*ROW, "late")])

    lines = [line.rstrip() for line in Text.from_ansi(capsys.readouterr().out).plain.splitlines()]
    assert lines == [
        f"id       {ID}",
        "posted   2026-01-01 00:00:00Z",
        "marking  NATO SECRET//REL TO GBR, NOR",
        "subject  Signed updates carry a backdoor",
        "",
        f"id       {ID}",
        "posted   2026-01-01 00:00:00Z",
        "marking  NATO SECRET//REL TO GBR, NOR",
        "subject  Signed updates carry a backdoor",
        "why      late",
    ]


@pytest.mark.parametrize("width", [96, 110, 140])
def test_wide_terminal_has_a_line_of_names_and_folds_texts_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    on_terminal(monkeypatch, width)

    output.show_table(COLUMNS, [ROW])

    names, first, *_ = Text.from_ansi(capsys.readouterr().out).plain.splitlines()
    assert names.split() == list(COLUMNS)
    assert ID in first


def test_no_line_ends_in_blanks(capsys: pytest.CaptureFixture[str]) -> None:
    output.show_table(("id", "why"), [(ID, "late"), (ID, "")], title="two")
    output.show_record({"id": ID, "why": "late"}, title="one")

    lines = capsys.readouterr().out.splitlines()
    assert lines[0:3] == ["two", f"{'id':36}  why", f"{ID}  late"]
    assert lines[3:] == [ID, "one", f"id   {ID}", "why  late"]


def test_pipe_has_each_row_on_one_line_however_long(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # What lays out tables takes several times as long for ten thousand rows, and nothing is to be folded.
    monkeypatch.delattr(output, "Table")
    output.show_table(("id", "why"), [(ID, "because " * 200)])

    assert len(capsys.readouterr().out.splitlines()) == 2


def test_followed_json_keeps_what_a_terminal_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """Joiners and direction marks belong to the writing of many languages; as escapes they steer no terminal."""
    subject = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 \u202e x \x1b[31m"

    output.show_json_line(json.dumps({"subject": subject}, ensure_ascii=False))

    said = capsys.readouterr().out
    assert json.loads(said) == {"subject": subject}
    assert (said.isascii(), said.count("\n")) == (True, 1)
    assert "\x1b" not in said


def test_parties_of_which_one_leaves_are_told_apart():
    leaves_at = datetime(2027, 2, 25, 14, 55, 59, 601274, tzinfo=UTC)
    parties = [PartyBody(member="DNK", state="signed", leaves_at=leaves_at), PartyBody(member="ESP", state="signed")]

    assert parties_of(SimpleNamespace(parties=parties)) == "DNK signed (leaves 2027-02-25 14:55:59Z), ESP signed"


def test_times_of_promises_are_told_to_the_second(capsys: pytest.CaptureFixture[str]) -> None:
    at = datetime(2026, 1, 1, 10, 0, 0, 7, UTC)
    rhythm = SimpleNamespace(every="P7D", in_time=1, late=0, missed=0, due=at, overdue=False)
    kept = SimpleNamespace(scope="s", posts=1, share_percent=100, last_posted_at=at, rhythm=rhythm, acknowledgements=[])
    parties = [SimpleNamespace(member="NOR", scopes=[kept])]

    compliance._show(SimpleNamespace(since=at, until=at, parties=parties))

    shown = capsys.readouterr().out
    assert (shown.count("2026-01-01 10:00:00Z"), "000007" in shown) == (4, False)


def test_times_of_a_request_are_told_as_everywhere(capsys: pytest.CaptureFixture[str]) -> None:
    at = datetime(2026, 1, 1, 10, 0, 0, 7, UTC)
    who = {"originator": "GBR", "recipient": "NOR", "requester": ID}
    when = {"until": at, "requested_at": at, "decided_at": None}
    asked = {"id": ID, "report": ID, "parts": [], "purposes": [], "reason": "flood", "state": "asked"}
    request = OnwardBody.model_validate({**asked, **who, **when, "conditions": None, "grant": None})

    show_consent(request, "asked for", as_json=False)

    assert [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines() if "2026" in line] == [
        ["until", "2026-01-01 10:00:00Z"],
        ["requested", "at  2026-01-01 10:00:00Z"],
    ]


def test_body_with_a_field_of_keys_is_shown_like_any(capsys: pytest.CaptureFixture[str]) -> None:
    at, who = datetime(2026, 1, 1, 10, tzinfo=UTC), {"id": ID, "subject": ID, "requester": ID, "approver": ID}
    when = {"period": "2026-01", "requested_at": at, "expires_at": at}

    output.show_body(ErasureBody.model_validate({**who, **when, "state": "erased", "reason": "left", "keys": 3}))

    assert "keys          3" in capsys.readouterr().out


def test_times_of_a_request_for_information_are_told_as_everywhere(capsys: pytest.CaptureFixture[str]) -> None:
    at = datetime(2026, 1, 1, 10, 0, 0, 7, UTC)
    label = {"policy": "NATO", "classification": "SECRET", "releasable_to": ["GBR"]}
    what = {"kind": "intrep", "topic": "cyber", "regions": ["EUR"], "subject": None, "text": "when?", "label": label}
    where = {"id": ID, "agreement": ID, "scope": "s", "asker": "GBR", "precedence": "ROUTINE", "marking": "NATO SECRET"}
    when = {"asked": ["NOR"], "asked_at": at, "deadline": at, "state": "open", "answers": []}

    requests._show(RequestShownBody.model_validate({**where, **what, **when}), "asked", as_json=False)

    shown = capsys.readouterr().out
    assert (shown.count("2026-01-01 10:00:00Z"), "000007" in shown, "label" in shown) == (2, False, False)


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"decision": "refused", "reasons": ["not-releasable"]}, "not-releasable"),
        ({"decision": "refused", "detail": {"codes": ["bad-text", "bad-name"]}}, "bad-text, bad-name"),
        ({"decision": "refused", "detail": {"code": "too-large", "route": "/v1/reports"}}, "too-large"),
        (
            {"decision": "refused", "reasons": ["above-ceiling"], "detail": {"codes": ["above-ceiling", "bad-text"]}},
            "above-ceiling, bad-text",
        ),
        ({"decision": "permitted", "detail": {"codes": ["parts-missing"]}}, ""),
        ({"decision": "refused"}, ""),
    ],
)
def test_auditor_is_told_why_whatever_was_refused(told: dict[str, JsonValue], why: str) -> None:
    shown = ShownEntryBody.model_validate({"id": ID, "leaf": "", "extent": "whole", "entry": told})

    assert audit_search._row(shown)[5] == why


def test_who_asks_for_alerts_of_no_rule_is_not_told_silence_alone(capsys: pytest.CaptureFixture[str]) -> None:
    page = SimpleNamespace(items=[], next="")
    client = SimpleNamespace(alerts=lambda after, rule: page)

    inspect.unwrap(audit_alerts.alerts)(client, rule="mass-puls")

    assert "no alert of a rule `mass-puls`" in capsys.readouterr().err


@pytest.mark.parametrize(("members", "told"), [([], True), (["GBR", "NOR"], False)])
def test_who_posts_for_nobody_else_is_told(capsys, members, told) -> None:
    label = LabelBody(policy="NATO", classification="SECRET", releasable_to=members)

    show_posted(HeaderBody.model_construct(id="1", marking="m", originator="GBR", parts=[], label=label), as_json=False)

    is_told = "without `REL TO` in its marking it is for clients of GBR alone" in capsys.readouterr().err
    assert is_told is told
