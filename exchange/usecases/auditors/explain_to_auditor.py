"""Why may a client (not) see a report: to auditors, who read no report and yet must be able to ask.

The originator's auditor learns every rule about the report, and of another member's client nothing that is personal to
it: not its clearance, not its nationality, and so not the decision; nor for which purposes it is registered: rules are
asked for the purpose that the auditor names. Of its own member's client it learns all. The exchange's auditor learns
every rule. A client that is none and one that the auditor may not name are one answer.
"""

from dataclasses import replace

from exchange.agreements import AgreementId
from exchange.audit import Detail, EventName, Outcome
from exchange.kernel import is_uuid7
from exchange.members import Client
from exchange.release import ClassFacts, Explanation, Viewer
from exchange.store import Parts, Unread
from exchange.usecases.auditors.auditing import Gaze
from exchange.usecases.auditors.read_registries import audited_report, report_draft
from exchange.usecases.reading.explain_report import explained
from exchange.usecases.steps.as_it_left import as_originator_knows
from exchange.usecases.steps.context import DEFAULT_PURPOSE, Call, Recorded, Services
from exchange.usecases.steps.judging import report_not_found
from exchange.usecases.steps.recording import draft, named, on_record
from exchange.usecases.steps.seeking import judge
from exchange.usecases.steps.unread import known_agreements, record_unread


async def explain_to_auditor(services: Services, call: Call, report_id: str, client_id: str) -> Recorded[Explanation]:
    """Return every rule with its outcome for the client with that id, as far as the auditor may know.

    Raises NotFoundError where the report is not its member's or above its clearance, or there is no such client.
    """
    gaze, report, facts = await audited_report(services, call, report_id)
    refusal = draft(call, gaze.client, EventName.AUDIT_READ, Outcome.REFUSED, subject=named("report", report_id))
    async with on_record(services, refusal):
        client = await _asked_about(services, gaze, client_id) if is_uuid7(client_id) else None
        row = await services.store.report_for("", report.id, parts=Parts.NONE)
        if client is None or row.report is None or not await _may_name(services, gaze, client, facts):
            raise report_not_found()
    viewer = Viewer.EXCHANGE if gaze.auditor.member is None else Viewer.ORIGINATOR
    asked_about = client if gaze.auditor.member in {None, client.member} else _with_purpose(call, client)
    judged = await judge(services, call, asked_about, row.report, row.state, is_asked=False)
    if viewer is Viewer.ORIGINATOR:
        judged = await as_originator_knows(services, call, judged)
    explanation = explained(call, judged, viewer)
    detail: Detail = {"view": "explanation", "client": client.id}
    receipt = await services.store.append(report_draft(call, gaze, report, facts, detail=detail))
    return Recorded(explanation, receipt)


async def _asked_about(services: Services, gaze: Gaze, client_id: str) -> Client | None:
    """Return a client; None where there is none, and where its row cannot be read, which is on the record then."""
    unread = Unread()
    clients = {str(each.id): each for each in await services.store.clients(unread)}
    # INVARIANT: whose it is nobody can say, and so nobody is told that it is there; others are none of its affair.
    await record_unread(
        services, Unread([row for row in unread.rows if row.place == f"client {client_id}"]), gaze.client
    )
    return clients.get(client_id)


def _with_purpose(call: Call, client: Client) -> Client:
    # INVARIANT: what another member registered its client for is not found out by trying one purpose after the other.
    return replace(client, purposes=(call.purpose or DEFAULT_PURPOSE,))


async def _may_name(services: Services, gaze: Gaze, client: Client, facts: ClassFacts) -> bool:
    # A member's auditor asks about its own clients and those of parties; who else is enrolled is not its to know.
    if gaze.auditor.member in {None, client.member}:
        return True
    agreement = (await known_agreements(services, gaze.state)).get(AgreementId(facts.agreement))
    # INVARIANT: parties by the last text that names the auditor's member: who acceded since is nobody to it.
    known = () if agreement is None else agreement.editions_of(str(gaze.auditor.member))
    return agreement is not None and bool(known) and client.member in agreement.texts[known[-1] - 1].parties
