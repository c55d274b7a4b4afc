"""What `exchange report watch` and `list` print about what is no report that they can show."""

import json
from datetime import UTC, datetime
from unittest.mock import Mock

import pytest
import typer

from exchange.cli import audit_search
from exchange.cli import reports as report_verbs
from exchange.cli.audit_alerts import alerts
from exchange.cli.reports import _show_event, list_all
from exchange.client import ExchangeClient, ListedReports, StreamEvent, ToldEvent, UnopenedEvent
from exchange.client.errors import ConnectionFailedError
from exchange.kernel import ExchangeError, InvalidError
from exchange.wire import HeaderBody, ReportListBody

ASKED = ToldEvent("request", {"precedence": "FLASH", "request": "r-1"}, "c2")


def test_request_is_one_line_of_words(capsys):
    _show_event(ASKED, as_json=False)

    assert capsys.readouterr().out.split() == ["request", "FLASH", "r-1"]


def test_request_is_one_object_with_its_id_and_where_to_resume(capsys):
    _show_event(ASKED, as_json=True)

    told = json.loads(capsys.readouterr().out)
    assert told == {"id": "r-1", "cursor": "c2", "report": None, "request": {"precedence": "FLASH", "request": "r-1"}}


def test_report_is_one_line_of_words_wherever_reports_are_followed(monkeypatch, capsys):
    """Without a subject it has a dash, as in a list; what took the place of another one is not all that is shown."""
    header = HeaderBody.model_construct(
        id="r-1", posted_at=datetime(2026, 6, 1, 12, tzinfo=UTC), originator="GBR", precedence="FLASH",
        status="superseded", marking="NATO SECRET", topic="cyber", subject=None,
    )  # fmt: skip
    page = ReportListBody.model_construct(items=[header], next="c", unopened=[])
    monkeypatch.setattr(ExchangeClient, "page", Mock(side_effect=[page, KeyboardInterrupt]))

    _show_event(StreamEvent(header, "c1"), as_json=False)
    list_all.__wrapped__(ExchangeClient.__new__(ExchangeClient), follow=True)

    line = "r-1  2026-06-01 12:00:00Z  GBR  FLASH  superseded  NATO SECRET  cyber  -\n"
    assert capsys.readouterr().out == line + line


@pytest.mark.parametrize("verb", ["page", "alerts"])
def test_who_follows_goes_on_where_the_exchange_is_begun_anew(monkeypatch, capsys, verb):
    page, away = Mock(items=[], unopened=[], next="c"), ConnectionFailedError("it was stopped")
    pages = Mock(side_effect=[page, away, page, away, *[away] * 5])
    monkeypatch.setattr(ExchangeClient, verb, pages)
    monkeypatch.setattr("time.sleep", Mock())
    follow = list_all if verb == "page" else alerts

    with pytest.raises(ConnectionFailedError):
        follow.__wrapped__(ExchangeClient.__new__(ExchangeClient), follow=True)

    assert pages.call_count == 9


@pytest.mark.parametrize(("report", "words"), [("r-1", "r-1"), (None, "which one may not be named")])
def test_what_cannot_be_opened_is_told(capsys, report, words):
    _show_event(UnopenedEvent(report, "c3"), as_json=False)
    _show_event(UnopenedEvent(report, "c3"), as_json=True)

    line, told = capsys.readouterr().out.splitlines()
    assert line == f"unopened  {words}"
    assert json.loads(told) == {"id": report, "cursor": "c3", "report": None, "unopened": True}


@pytest.mark.parametrize("as_json", [False, True])
def test_list_that_lacks_something_says_so_and_fails(monkeypatch, capsys, *, as_json):
    report = "01980000-0000-7000-8000-000000000001"
    page = ReportListBody.model_validate({"items": [], "next": "c", "unopened": [{"id": report}, {"id": None}]})
    monkeypatch.setattr(ExchangeClient, "reports", lambda *_, **__: ListedReports(lambda _: page, 100))

    with pytest.raises(typer.Exit) as ended:
        list_all.__wrapped__(ExchangeClient.__new__(ExchangeClient), as_json=as_json)

    assert ended.value.exit_code == 1
    assert f"{report}, 1 that the exchange may not name" in " ".join(capsys.readouterr().err.split())


CURSOR = "TIVuzkU3Lhr7d8DImDnQ2QYyfegow3ce"


@pytest.mark.parametrize(("given", "asked"), [({"limit": 2}, (None, 2)), ({"after": CURSOR}, (CURSOR, 100))])
def test_page_of_a_list_says_to_a_program_where_to_go_on(monkeypatch, capsys, given, asked):
    asked_for = []

    def page(_, *place, **__):
        asked_for.append(place)
        return ReportListBody.model_validate({"items": [], "next": CURSOR, "unopened": []})

    monkeypatch.setattr(ExchangeClient, "page", page)
    monkeypatch.setattr(ExchangeClient, "whoami", Mock(side_effect=ExchangeError("nobody")))

    list_all.__wrapped__(ExchangeClient.__new__(ExchangeClient), **given, as_json=True)

    assert json.loads(capsys.readouterr().out) == {"items": [], "next": CURSOR, "unopened": []}
    assert asked_for == [asked]


def test_all_that_comes_is_no_page():
    with pytest.raises(InvalidError, match="give one of"):
        list_all.__wrapped__(ExchangeClient.__new__(ExchangeClient), limit=2, follow=True)


@pytest.mark.parametrize(("since", "is_told"), [("2999-01-01", True), ("2020-01-01", False), (None, False)])
def test_who_follows_from_a_time_that_has_not_come_is_told_so(monkeypatch, capsys, since, is_told):
    monkeypatch.setattr(report_verbs, "_follow", Mock())
    monkeypatch.setattr(audit_search, "follow_entries", Mock())
    client = ExchangeClient.__new__(ExchangeClient)
    list_all.__wrapped__(client, since=since, follow=True)
    audit_search.search.__wrapped__(client, since=since, follow=True)

    told = capsys.readouterr().err
    assert told.count("nothing is of 2999-01-01T00:00:00Z or later yet") == (2 if is_told else 0)
    assert is_told or not told
