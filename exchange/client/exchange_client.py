"""`ExchangeClient`: a method per act of the contract."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from exchange.agreements import TreatyText, sign_text, take_back
from exchange.audit.export import ExportedEntry, Place, Statement
from exchange.client.answers import Asking, about, meant_for, path_of, stating
from exchange.client.compliance import Duties
from exchange.client.consents import Derivations, OnwardReleases
from exchange.client.crises import Crises
from exchange.client.exports import read_export, through_breaks
from exchange.client.listing import PAGE, ListedReports, walked
from exchange.client.log_reads import LogReads
from exchange.client.national_caveats import NationalCaveats
from exchange.client.parts import checked_content, decoded
from exchange.client.proxies import Proxies
from exchange.client.report_life import ReportLife
from exchange.client.requests import InformationRequests
from exchange.client.streaming import StreamEvent, WatchedEvent, watch
from exchange.client.transport import Endpoint, Transport
from exchange.client.uploads import Uploads
from exchange.client.webhooks import Webhooks
from exchange.crypto import ObjectSignature, ObjectSigningKey
from exchange.wire import (
    ActConfirmation,
    ActRefusal,
    AgreementAmendmentBody,
    AgreementAmendmentListBody,
    AgreementBody,
    AgreementEvidenceBody,
    AgreementListBody,
    AgreementOutlookBody,
    AgreementSignature,
    AlertListBody,
    BareAct,
    ClientBody,
    ClientChange,
    ClientEnrolment,
    ClientListBody,
    ClientRegistryBody,
    EnrolledClientBody,
    EntryListBody,
    ErasureBody,
    ErasureRequest,
    ExplanationBody,
    GapBody,
    GapListBody,
    HeaderBody,
    KeyRetirement,
    MemberAddition,
    MemberBody,
    MemberListBody,
    ObjectSignatureBody,
    PendingActBody,
    PendingActListBody,
    PulledPartBody,
    PulledReportBody,
    ReadersBody,
    ReceiptBody,
    RegistryLineBody,
    ReportBody,
    ReportListBody,
    ReportRegistryBody,
    ShownEntryBody,
    SignatoryKeyBody,
    SignatoryKeyListBody,
    SignatoryKeyOffer,
    SimulationBody,
    SimulationRequest,
    VocabularyBody,
    WhoamiBody,
    WitnessListBody,
)

_CHUNK_BYTES = 64 * 1024


class ExchangeClient(Asking):
    """A member's connection to one exchange. Close it, or use it as a context manager.

    Every method raises ProblemError for a refusal (its `code` is the contract's), ConnectionFailedError where the
    exchange cannot be reached or does not accept the certificate, AnswerError for an answer that is none.
    With `receipts` the receipt of every answer, refusals included, is kept in that file before the answer is used; a
    success that comes without one is not used (AnswerError).
    """

    def __init__(  # noqa: PLR0913  where the exchange is, and who we are there
        self,
        url: str,
        cert: Path | str,
        key: Path | str,
        ca: Path | str,
        *,
        timeout_seconds: float = 30.0,
        receipts: Path | str | None = None,
    ) -> None:
        kept = None if receipts is None else Path(receipts)
        super().__init__(
            Transport(Endpoint(url, Path(cert), Path(key), Path(ca), timeout_seconds=timeout_seconds, receipts=kept))
        )

    @classmethod
    def at(cls, endpoint: Endpoint) -> "ExchangeClient":
        """Return a client for `endpoint`."""
        return cls(
            endpoint.url,
            endpoint.cert,
            endpoint.key,
            endpoint.ca,
            timeout_seconds=endpoint.timeout_seconds,
            receipts=endpoint.receipts,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def log(self) -> LogReads:
        """Return what the exchange shows of its audit log."""
        return LogReads(self._transport)

    @property
    def life(self) -> ReportLife:
        """Return what is done to reports after they were posted."""
        return ReportLife(self._transport)

    @property
    def uploads(self) -> Uploads:
        """Return what posts reports whose parts are sent by themselves."""
        return Uploads(self._transport)

    @property
    def webhooks(self) -> Webhooks:
        """Return this client's subscriptions, by which it is told of new reports."""
        return Webhooks(self._transport)

    @property
    def caveats(self) -> NationalCaveats:
        """Return the guards that this client's member puts in force for its own reports."""
        return NationalCaveats(self._transport)

    @property
    def onward(self) -> OnwardReleases:
        """Return what readers ask originators to pass on, and what these decide."""
        return OnwardReleases(self._transport)

    @property
    def derivations(self) -> Derivations:
        """Return what authors ask the originators of their sources for, and what these decide."""
        return Derivations(self._transport)

    @property
    def duties(self) -> Duties:
        """Return what parties owe one another under agreements, and what they did."""
        return Duties(self._transport)

    @property
    def proxies(self) -> Proxies:
        """Return who may post on whose behalf."""
        return Proxies(self._transport)

    @property
    def crises(self) -> Crises:
        """Return what two signatories open together under an agreement's crisis clause."""
        return Crises(self._transport)

    @property
    def information(self) -> InformationRequests:
        """Return what members ask each other for."""
        return InformationRequests(self._transport)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    # ── who and what ──────────────────────────────────────────────────────────────────────────────────────────────

    def whoami(self) -> WhoamiBody:
        """Return whom the exchange takes this certificate for."""
        return self._get(WhoamiBody, "/v1/whoami")

    def vocabulary(self) -> VocabularyBody:
        """Return the words that reports may use and the labels that this client may give."""
        return self._get(VocabularyBody, "/v1/vocabulary")

    def members(self) -> list[MemberBody]:
        """Return the members that this client may see."""
        return self._get(MemberListBody, "/v1/members").items

    def add_member(self, addition: MemberAddition) -> MemberBody:
        """Add a member (operator)."""
        return self._post(MemberBody, "/v1/members", addition)

    def clients(self) -> Iterator[ClientBody]:
        """Yield the clients that this client may see, page by page."""
        after: str | None = None
        while True:
            page = self._get(ClientListBody, "/v1/clients", {"after": after})
            yield from page.items
            after = page.next
            if after is None:
                return

    def client(self, client_id: str) -> ClientBody:
        """Return one client."""
        body = self._get(ClientBody, path_of("/v1/clients", client_id))
        return about(client_id, body, body.id)

    def enrol_client(self, enrolment: ClientEnrolment) -> EnrolledClientBody:
        """Enrol a client with its certificate (operator)."""
        return self._post(EnrolledClientBody, "/v1/clients", enrolment)

    def change_client(self, client_id: str, change: ClientChange, *, if_version: int | None = None) -> ClientBody:
        """Change a client's clearance or standing (operator); with `if_version` only while it is at that version."""
        path = path_of("/v1/clients", client_id)
        return self._post(ClientBody, path, change, meant_for(if_version), method="PATCH")

    # ── agreements ────────────────────────────────────────────────────────────────────────────────────────────────

    def agreements(self) -> list[AgreementBody]:
        """Return the agreements that this client's member is a party of."""
        return self._get(AgreementListBody, "/v1/agreements").items

    def agreement(self, agreement_id: str) -> AgreementBody:
        """Return one agreement and where its parties stand."""
        body = self._get(AgreementBody, path_of("/v1/agreements", agreement_id))
        return about(agreement_id, body, body.id)

    def propose_agreement(self, terms_json: bytes) -> AgreementBody:
        """Propose an agreement; `terms_json` is the JSON form of the agreement file."""
        return self._post(AgreementBody, "/v1/agreements", terms_json)

    def sign_agreement(self, agreement_id: str, key: ObjectSigningKey) -> AgreementBody:
        """Sign for this client's member (signatory) the text that lies before the parties.

        What is signed is the text as this client read it: were another one there by then, the exchange refuses.
        """
        return self.sign_text(self.agreement(agreement_id).to_text(), key)

    def sign_text(self, text: TreatyText, key: ObjectSigningKey) -> AgreementBody:
        """Sign for this client's member (signatory) a text that the caller has read."""
        path = path_of("/v1/agreements", text.agreement, "signatures")
        return self._post(AgreementBody, path, self._signed(sign_text, text, key))

    def take_back_signature(self, text: TreatyText, key: ObjectSigningKey) -> AgreementAmendmentBody:
        """Take back this member's signature (signatory) under an amendment that is proposed still."""
        path = path_of("/v1/agreements", text.agreement, "signatures", "withdrawal")
        return self._post(AgreementAmendmentBody, path, self._signed(take_back, text, key))

    def amend_agreement(self, agreement_id: str, terms_json: bytes) -> AgreementAmendmentBody:
        """Lay another text of an agreement before those who have to sign it (signatory)."""
        return self._post(AgreementAmendmentBody, path_of("/v1/agreements", agreement_id, "amendments"), terms_json)

    def amendments(self, agreement_id: str) -> list[AgreementAmendmentBody]:
        """Return every amendment of an agreement, with what each changes (signatory)."""
        return self._get(AgreementAmendmentListBody, path_of("/v1/agreements", agreement_id, "amendments")).items

    def agreement_evidence(self, agreement_id: str) -> AgreementEvidenceBody:
        """Return every text of an agreement with its signatures and keys, to be verified without the exchange."""
        body = self._get(AgreementEvidenceBody, path_of("/v1/agreements", agreement_id, "evidence"))
        return about(agreement_id, body, body.agreement)

    def enrol_signature_key(self, client_id: str, offer: SignatoryKeyOffer) -> SignatoryKeyBody:
        """Enrol a signatory's key (operator)."""
        return self._post(SignatoryKeyBody, path_of("/v1/clients", client_id, "signature-keys"), offer)

    def retire_signature_key(self, client_id: str, key: str) -> list[SignatoryKeyBody]:
        """Retire a signatory's key (operator) and return every key that it ever had."""
        path = path_of("/v1/clients", client_id, "signature-keys", "retirement")
        return self._post(SignatoryKeyListBody, path, KeyRetirement(key=key)).items

    def signature_keys(self, client_id: str) -> list[SignatoryKeyBody]:
        """Return every key that a signatory of this client's member ever had."""
        return self._get(SignatoryKeyListBody, path_of("/v1/clients", client_id, "signature-keys")).items

    def suspend_agreement(self, agreement_id: str) -> AgreementBody:
        """Suspend this member's part in an agreement (signatory)."""
        return self._act(agreement_id, "suspension")

    def resume_agreement(self, agreement_id: str) -> AgreementBody:
        """End this member's suspension (signatory)."""
        return self._act(agreement_id, "resumption")

    def withdraw_agreement(self, agreement_id: str) -> AgreementBody:
        """Withdraw this member from an agreement (signatory); final."""
        return self._act(agreement_id, "withdrawal")

    # ── reports ───────────────────────────────────────────────────────────────────────────────────────────────────

    def post_report(
        self, report: ReportBody, *, idempotency_key: str | None = None, purpose: str | None = None
    ) -> HeaderBody:
        """Post a report (contributor) and return its header.

        A key is made where none is given, so that a broken connection does not post it twice. `purpose` is why its
        sources are read: what it supersedes or refers to.
        """
        return self._post_report(HeaderBody, report, idempotency_key, purpose)

    def pull_report(self, report_id: str, *, purpose: str | None = None) -> PulledReportBody:
        """Return a report with the parts permitted to this client; large contents are null: see `content`."""
        pulled = self._get(PulledReportBody, path_of("/v1/reports", report_id), purpose=purpose)
        return about(report_id, pulled, pulled.id)

    def content(self, report_id: str, part: PulledPartBody, *, purpose: str | None = None) -> Iterator[bytes]:
        """Yield the bytes of a pulled part, streamed where they were too large to come along.

        Raises AnswerError at the end where they are not the bytes that the header's SHA-256 names: throw them away.
        """
        held = decoded(part)
        chunks = iter([held]) if held is not None else self._streamed(report_id, part.number, purpose)
        yield from checked_content(part, chunks)

    def page(self, after: str | None = None, limit: int = PAGE, **filters: str | None) -> ReportListBody:
        """Return one page of headers, oldest first after the cursor `after`, and the cursor to go on from.

        `filters` are `agreement`, `topic`, `kind`, `precedence` and `since` (RFC 3339).
        """
        return self._get(ReportListBody, "/v1/reports", {**filters, "after": after, "limit": limit})

    def reports(self, after: str | None = None, **filters: str | None) -> ListedReports:
        """Return every header that this client may see now, oldest first after a cursor, to be gone through once.

        What the exchange cannot open is not among them: `unopened` of what is returned says so at the end, and `next`
        where to go on from for what comes later.
        """
        return ListedReports(lambda place: self.page(place, PAGE, **filters), PAGE, after)

    def watch_reports(self, after: str | None = None, *, purpose: str | None = None) -> Iterator[StreamEvent]:
        """Yield the headers that become visible to this client (reader), for ever; a broken stream is resumed.

        `after` is the cursor of an event or `next` of a page; None begins with what comes from now on. An event without
        a header says that a change of rights made more visible than was sent: a fresh list has it.
        """
        return (each for each in self.watch(after, purpose=purpose) if isinstance(each, StreamEvent))

    def watch(self, after: str | None = None, *, purpose: str | None = None) -> Iterator[WatchedEvent]:
        """Yield what `watch_reports` does, what cannot be opened, and requests and breaches of the client's member."""
        return watch(self._transport, after, purpose=purpose, pause=self._transport.pause)

    def explanation(self, report_id: str) -> ExplanationBody:
        """Return why this client may see a report."""
        told = self._get(ExplanationBody, path_of("/v1/reports", report_id, "explanation"))
        return about(report_id, told, told.id)

    def acknowledge(self, report_id: str, *, purpose: str | None = None) -> ReceiptBody:
        """Say that this client has received a report (reader); return its first acknowledgement, now or before."""
        path = path_of("/v1/reports", report_id, "receipts")
        kept = self._post(ReceiptBody, path, BareAct(), stating(purpose), may_repeat=True)
        return about(report_id, kept, kept.report)

    def simulate(self, report: SimulationRequest) -> SimulationBody:
        """Return who could read such a report if it were posted (contributor)."""
        return self._post(SimulationBody, "/v1/simulations", report)

    def simulate_agreement(self, terms_json: bytes) -> AgreementOutlookBody:
        """Return what an agreement would do if all signed it (signatory); `terms_json` as for a proposal."""
        return self._post(AgreementOutlookBody, "/v1/agreements/simulations", terms_json, may_repeat=True)

    def gaps(self, **filters: str | None) -> list[GapBody]:
        """Return what no agreement lets this member post to others, or others to it.

        `filters` are `member`, `topic`, `kind`, `region` and `level`.
        """
        return self._get(GapListBody, "/v1/gaps", filters).items

    # ── the log ───────────────────────────────────────────────────────────────────────────────────────────────────

    def export(
        self,
        after: Place | None = None,
        filters: Mapping[str, str] | None = None,
        *,
        follow: bool = False,
        on_end: Callable[[Place], None] | None = None,
    ) -> Iterator[ExportedEntry | Statement]:
        """Yield this auditor's slice of the log behind the place `after`, at its end how far it is complete.

        Where the connection breaks it goes on behind the last entry; not with proofs, which lead to one checkpoint.
        With `follow` it never ends: the statement comes each time that there is nothing more, and then what is new.
        `on_end` is told how far it will go.
        """
        asked = {**(filters or {}), **({"follow": "true"} if follow else {})}

        def read(place: Place | None) -> Iterator[ExportedEntry | Statement]:
            return read_export(self._transport, place, asked, on_end=on_end)

        yield from read(after) if asked.get("proofs") == "true" else through_breaks(read, after, self._transport.pause)

    def audit_page(self, after: str | None = None, limit: int = PAGE, **filters: str | None) -> EntryListBody:
        """Return one page of the log as this auditor may see it; `filters` are those of `GET /v1/audit/entries`."""
        return self._get(EntryListBody, "/v1/audit/entries", {**filters, "after": after, "limit": limit})

    def audit_entries(self, *, most: int | None = None, **filters: str | None) -> Iterator[ShownEntryBody]:
        """Yield the entries of the log that this auditor may see and that meet `filters`, newest first.

        No more than `most`, where it is given, are asked for: the log has it that each that is answered was shown.
        """
        yield from walked(lambda after, limit: self.audit_page(after, limit, **filters), most)

    def audit_entry(self, entry_id: str) -> ShownEntryBody:
        """Return one entry of the log (auditor)."""
        entry = self._get(ShownEntryBody, path_of("/v1/audit/entries", entry_id))
        return about(entry_id, entry, entry.id)

    def report_registry(self, report_id: str, *, most: int | None = None) -> Iterator[RegistryLineBody]:
        """Yield who was given what of a report, oldest first (its originator's auditor); `most` as `audit_entries`."""
        return self._registry(ReportRegistryBody, path_of("/v1/audit/reports", report_id, "registry"), most)

    def client_registry(self, client_id: str, *, most: int | None = None) -> Iterator[RegistryLineBody]:
        """Yield what a client was given, oldest first (its own member's auditor); `most` as `audit_entries`."""
        return self._registry(ClientRegistryBody, path_of("/v1/audit/clients", client_id, "registry"), most)

    def explanation_for(self, report_id: str, client_id: str) -> ExplanationBody:
        """Return why a client may (not) see a report (its originator's auditor, the exchange's)."""
        return self._get(ExplanationBody, path_of("/v1/audit/reports", report_id, "explanation"), {"client": client_id})

    def readers_on(self, report_id: str, on: str) -> ReadersBody:
        """Return who could have read a report on a date or at a moment, and who did (its originator's auditor)."""
        return self._get(ReadersBody, path_of("/v1/audit/reports", report_id, "readers"), {"on": on})

    # ── acts of two persons ───────────────────────────────────────────────────────────────────────────────────────

    def acts(self) -> list[PendingActBody]:
        """Return every act that waits for a second person and that this client has to do with."""
        return self._get(PendingActListBody, "/v1/acts").items

    def act(self, act_id: str) -> PendingActBody:
        """Return an act that was asked for."""
        act = self._get(PendingActBody, path_of("/v1/acts", act_id))
        return about(act_id, act, act.id)

    def confirm_act(self, act_id: str, digest: str) -> PendingActBody:
        """Confirm an act that somebody else asked for, by the digest that `act` showed; it is done at once."""
        return self._post(PendingActBody, path_of("/v1/acts", act_id, "confirmation"), ActConfirmation(digest=digest))

    def refuse_act(self, act_id: str, reason: str | None = None) -> PendingActBody:
        """Refuse an act that somebody else asked for, or take back one's own."""
        return self._post(PendingActBody, path_of("/v1/acts", act_id, "refusal"), ActRefusal(reason=reason))

    # ── personal data in the log ──────────────────────────────────────────────────────────────────────────────────────

    def request_erasure(self, erasure: ErasureRequest) -> ErasureBody:
        """Ask for the erasure of personal data from the log (operator, auditor); another person has to approve it."""
        return self._post(ErasureBody, "/v1/audit/erasures", erasure)

    def erasure(self, erasure_id: str) -> ErasureBody:
        """Return an erasure that was asked for (operator, auditor)."""
        body = self._get(ErasureBody, path_of("/v1/audit/erasures", erasure_id))
        return about(erasure_id, body, body.id)

    def approve_erasure(self, erasure_id: str) -> ErasureBody:
        """Approve an erasure that somebody else asked for (operator, auditor); it is done at once and for good."""
        return self._post(ErasureBody, path_of("/v1/audit/erasures", erasure_id, "approval"), BareAct())

    def alerts(self, *, after: str | None = None, rule: str | None = None) -> AlertListBody:
        """Return one page of alerts, oldest first behind the cursor `after` (auditor); `next` is where to go on."""
        return self._get(AlertListBody, "/v1/audit/alerts", {"after": after, "rule": rule})

    def witnesses(self) -> WitnessListBody:
        """Return who stands behind the log (auditor)."""
        return self._get(WitnessListBody, "/v1/audit/witnesses")

    # ── how ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _registry(
        self, model: type[ReportRegistryBody] | type[ClientRegistryBody], path: str, most: int | None
    ) -> Iterator[RegistryLineBody]:
        def page(after: str | None, limit: int) -> ReportRegistryBody | ClientRegistryBody:
            return self._get(model, path, {"after": after, "limit": limit})

        yield from walked(page, most)

    def _signed(
        self, sign: Callable[..., ObjectSignature], text: TreatyText, key: ObjectSigningKey
    ) -> AgreementSignature:
        me = self.whoami()
        signature = ObjectSignatureBody.of(sign(text, key, member=me.member, signatory=me.id))
        return AgreementSignature(text=text.digest, key=key.verifying_key.key_id, signature=signature)

    def _act(self, agreement_id: str, act: str) -> AgreementBody:
        return self._post(AgreementBody, path_of("/v1/agreements", agreement_id, act), BareAct())

    def _streamed(self, report_id: str, number: int, purpose: str | None) -> Iterator[bytes]:
        path = path_of("/v1/reports", report_id, "parts", str(number))
        with self._transport.stream(path, stating(purpose)) as answer:
            yield from answer.iter_bytes(_CHUNK_BYTES)
