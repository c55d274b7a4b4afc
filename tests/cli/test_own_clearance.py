"""Who is shown nothing is told that its own clearance has ended, of whatever it asked for."""

from datetime import UTC, datetime, timedelta

import pytest

from exchange.cli.report_life import amend, supersede
from exchange.cli.reports import explain, list_all, pull, receipt
from exchange.client import ExchangeClient, ListedReports, ProblemError
from exchange.kernel import ExchangeError
from exchange.wire import ClearanceBody, ReportListBody, WhoamiBody

REPORT = "01980000-0000-7000-8000-000000000001"
ABSENT = ProblemError(status=404, code="not-found", detail="there is no such thing, or none that you may see")


def caller(until: datetime | None) -> WhoamiBody:
    clearance = ClearanceBody(level="SECRET", compartments=[], since=ENDED, until=until)
    names = {"client": "nor", "member": "NOR", "agency": "NSM", "nationality": "NOR", "assurance": "mutual-tls"}
    return WhoamiBody.model_validate(
        {"id": REPORT, **names, "roles": [], "purposes": ["defence"], "clearance": clearance}
    )


class Told(ExchangeClient):
    """A client to which nothing is shown, and who it is; `asked` counts how often that was asked for."""

    def __init__(self, whoami: WhoamiBody | ExchangeError, refused: ProblemError = ABSENT) -> None:
        self.told, self.refused, self.asked = whoami, refused, 0

    def whoami(self) -> WhoamiBody:
        self.asked += 1
        if isinstance(self.told, ExchangeError):
            raise self.told
        return self.told

    def page(self, *_, **__) -> ReportListBody:
        return ReportListBody.model_validate({"items": [], "next": "c", "unopened": []})

    def reports(self, **filters: str | None) -> ListedReports:
        return ListedReports(lambda after: self.page(after, **filters), 100)

    def pull_report(self, *_, **__):
        raise self.refused

    explanation = acknowledge = pull_report


ENDED, CURRENT = datetime(2026, 1, 1, 10, tzinfo=UTC), datetime.now(UTC) + timedelta(days=1)
SAID = "the clearance ended at 2026-01-01 10:00:00Z"


@pytest.mark.parametrize(("until", "is_said"), [(ENDED, True), (CURRENT, False), (None, False)])
@pytest.mark.parametrize("given", [{}, {"limit": 3}])
def test_empty_list_of_who_is_cleared_no_more_says_so(capsys, until, is_said, given):
    list_all.__wrapped__(Told(caller(until)), **given)

    printed = capsys.readouterr()
    assert "nothing to show" in printed.out
    assert (SAID in printed.err) is is_said


@pytest.mark.parametrize("given", [{}, {"limit": 3}])
def test_program_that_lists_nothing_asks_nothing_more(capsys, given):
    looking = Told(caller(ENDED))

    list_all.__wrapped__(looking, **given, as_json=True)

    assert (looking.asked, capsys.readouterr().err) == (0, "")


@pytest.mark.parametrize("verb", [pull, explain, receipt])
def test_absent_report_of_who_is_cleared_no_more_says_so_and_stays_absent(capsys, verb):
    with pytest.raises(ProblemError) as refused:
        verb.__wrapped__(Told(caller(ENDED)), REPORT)

    assert refused.value is ABSENT
    assert SAID in capsys.readouterr().err


@pytest.mark.parametrize("verb", [pull, receipt])
@pytest.mark.parametrize(("purpose", "is_said"), [("judicial", True), ("defence", False), (None, False)])
def test_absent_report_of_who_asks_for_a_purpose_of_others_says_so(capsys, verb, purpose, is_said):
    with pytest.raises(ProblemError, match="no such thing"):
        verb.__wrapped__(Told(caller(None)), REPORT, purpose=purpose)

    told = " ".join(capsys.readouterr().err.split())
    assert ("not registered for the purpose `judicial`, but for defence" in told) is is_said


@pytest.mark.parametrize("verb", [amend, supersede])
def test_new_version_of_what_is_absent_for_a_purpose_of_others_says_so(capsys, tmp_path, verb):
    (tmp_path / "note.txt").write_text("more")

    with pytest.raises(ProblemError, match="no such thing"):
        verb.__wrapped__(Told(caller(None)), REPORT, [tmp_path / "note.txt"], purpose="judicial")

    assert "not registered for the purpose `judicial`" in " ".join(capsys.readouterr().err.split())


def test_other_refusal_or_who_cannot_be_asked_changes_nothing(capsys):
    busy = Told(caller(ENDED), ProblemError(status=503, code="unavailable", detail="away"))

    with pytest.raises(ProblemError, match="away"):
        pull.__wrapped__(busy, REPORT)
    with pytest.raises(ProblemError, match="no such thing"):
        pull.__wrapped__(Told(ExchangeError("gone")), REPORT)

    assert busy.asked == 0
    assert capsys.readouterr().err == ""
