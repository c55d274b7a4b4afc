"""The log cannot be written: nothing is read, nothing is changed, and a refusal is not told from an absence."""

from collections.abc import Awaitable, Callable

import pytest

from exchange import usecases
from exchange.custody import CustodyUnavailableError
from exchange.kernel import UnavailableError
from exchange.markings import Label
from exchange.members import Standing
from exchange.usecases import Call, ClearanceChange, Enrolment, ListQuery, SimulatedReport
from tests.support.world import AGREEMENT, World, certificate_of, thumbprint_of

Act = Callable[[World, Callable[[str | None], Call], str], Awaitable[object]]
SIMULATED = ("cyber-threats", "intrep", "cyber.apt", ("EUR",), Label("NATO", "SECRET"))
NEW_CLIENT = Enrolment("new", "GBR", "NCSC", ("reader",), "SECRET", certificate_of("new"))
ACTS: list[tuple[str, Act]] = [
    ("pull", lambda w, call, report: usecases.pull_report(w.services, call("NOR reader"), report)),
    ("refused pull", lambda w, call, report: usecases.pull_report(w.services, call("DNK reader"), report)),
    ("absent pull", lambda w, call, report: usecases.pull_report(w.services, call("NOR reader"), "x")),
    ("part", lambda w, call, report: usecases.read_part(w.services, call("NOR reader"), report, 1)),
    ("list", lambda w, call, report: usecases.list_reports(w.services, call("NOR reader"), ListQuery())),
    ("empty list", lambda w, call, report: usecases.list_reports(w.services, call("ESP reader"), ListQuery())),
    ("forged cursor", lambda w, call, report: usecases.list_reports(w.services, call("ESP reader"), ListQuery("x"))),
    ("explanation", lambda w, call, report: usecases.explain_report(w.services, call("NOR reader"), report)),
    ("post", lambda w, call, report: usecases.post_report(w.services, call("GBR contributor"), w.posted())),
    ("refused post", lambda w, call, report: usecases.post_report(w.services, call("ESP contributor"), w.posted())),
    (
        "simulation",
        lambda w, call, report: usecases.simulate_release(
            w.services, call("GBR contributor"), SimulatedReport(w.agreement_id, *SIMULATED)
        ),
    ),
    ("whoami", lambda w, call, report: usecases.describe_caller(w.services, call("NOR reader"))),
    ("vocabulary", lambda w, call, report: usecases.describe_vocabulary(w.services, call("NOR reader"))),
    ("stranger", lambda w, call, report: usecases.describe_caller(w.services, call("stranger"))),
    ("lacking role", lambda w, call, report: usecases.list_reports(w.services, call("operator"), ListQuery())),
    ("members", lambda w, call, report: usecases.list_members(w.services, call(None))),
    ("add member", lambda w, call, report: usecases.add_member(w.services, call(None), "FIN", "Finland")),
    ("add member again", lambda w, call, report: usecases.add_member(w.services, call(None), "GBR", "Again")),
    ("suspend member", lambda w, call, report: usecases.suspend_member(w.services, call(None), "GBR")),
    ("enrol", lambda w, call, report: usecases.enrol_client(w.services, call(None), NEW_CLIENT)),
    ("clients", lambda w, call, report: usecases.list_clients(w.services, call(None))),
    (
        "clearance",
        lambda w, call, report: usecases.change_clearance(
            w.services, call(None), w.clients["NOR reader"].id, ClearanceChange("TOP SECRET")
        ),
    ),
    (
        "revoke",
        lambda w, call, report: usecases.change_standing(
            w.services, call(None), w.clients["NOR reader"].id, Standing.REVOKED
        ),
    ),
    (
        "certificate",
        lambda w, call, report: usecases.remove_certificate(
            w.services, call(None), w.clients["NOR reader"].id, thumbprint_of("NOR reader")
        ),
    ),
    ("propose", lambda w, call, report: usecases.propose_agreement(w.services, call(None), AGREEMENT)),
    ("agreements", lambda w, call, report: usecases.list_agreements(w.services, call(None))),
    (
        "withdraw",
        lambda w, call, report: usecases.withdraw_agreement(w.services, call("NOR signatory"), w.agreement_id),
    ),
    (
        "rejection",
        lambda w, call, report: usecases.record_rejection(
            w.services, call("NOR reader"), method="GET", route="/", code="malformed"
        ),
    ),
]
KEPT = (
    "member",
    "client",
    "client_certificate",
    "agreement",
    "agreement_party",
    "report",
    "report_part",
    "release_class",
    "idempotency",
    "policy_state",
)


def state_of_all(world: World) -> list[list[str]]:
    return [sorted(map(repr, rows)) for rows in world.rows_of(*KEPT).values()]


@pytest.mark.parametrize("table", ["audit_entry", "audit_outbox"])
async def test_without_the_log_nothing_is_answered_and_nothing_changes(populated: World, table: str) -> None:
    report = await populated.post()
    before = state_of_all(populated)
    populated.sql(f"ALTER TABLE {table} RENAME TO gone")
    for name, act in ACTS:
        with pytest.raises(UnavailableError) as failed:
            await act(populated, populated.call, report)

        assert failed.value.receipt is None, name
    assert state_of_all(populated) == before

    populated.sql(f"ALTER TABLE gone RENAME TO {table}")
    pulled = await usecases.pull_report(populated.services, populated.call("NOR reader"), report)
    assert pulled.value.parts == ((1, b"first part"),)


async def test_entry_is_durable_before_the_answer_exists(populated: World, monkeypatch: pytest.MonkeyPatch) -> None:
    report = await populated.post()
    for act in (
        lambda: usecases.pull_report(populated.services, populated.call("NOR reader"), report),
        lambda: usecases.read_part(populated.services, populated.call("NOR reader"), report, 1),
        lambda: usecases.list_reports(populated.services, populated.call("NOR reader"), ListQuery()),
    ):
        recorded = await act()
        assert populated.sql("SELECT count(*) FROM audit_entry WHERE id = $1", recorded.receipt.entry) == [(1,)]


async def test_without_custody_nothing_is_read(populated: World, monkeypatch: pytest.MonkeyPatch) -> None:
    report = await populated.post()

    async def gone(*arguments: object) -> None:
        raise CustodyUnavailableError("no keys")

    for name in ("unwrap", "open_headers"):
        monkeypatch.setattr(populated.services.custodian, name, gone)
    for act in (
        usecases.pull_report(populated.services, populated.call("NOR reader"), report),
        usecases.read_part(populated.services, populated.call("NOR reader"), report, 1),
        usecases.list_reports(populated.services, populated.call("NOR reader"), ListQuery()),
    ):
        made = await populated.attempt(act)
        assert isinstance(made.error, CustodyUnavailableError)


async def test_store_that_is_closed_behind_the_service_answers_nothing(populated: World) -> None:
    report = await populated.post()
    populated.sql("ALTER TABLE client RENAME TO gone")
    for act in (
        usecases.pull_report(populated.services, populated.call("GBR reader"), report),
        usecases.list_reports(populated.services, populated.call("GBR reader"), ListQuery()),
        usecases.list_clients(populated.services, populated.call(None)),
    ):
        with pytest.raises(UnavailableError):
            await act
