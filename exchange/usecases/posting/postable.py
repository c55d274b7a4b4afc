"""Whether something may be posted, as law and agreement are now: asked by every post, and again when one is completed.

Steps: (1) its member is a party of an agreement in force, for its own part too, and the originator consents; (2) the
report lies inside the scope, is well formed and builds only on what its poster may see.
"""

import hmac
import json
from dataclasses import dataclass, replace
from functools import lru_cache

from exchange.agreements import Agreement, AgreementId, active_parties
from exchange.audit import EventName, Outcome
from exchange.crypto import derive_key
from exchange.kernel import Fault, InvalidError
from exchange.members import Client
from exchange.reports import Header, PostedReport, ReportId, header_as_json
from exchange.store import Idempotency, PolicyState
from exchange.usecases.posting.derived_marking import Source
from exchange.usecases.posting.kept_sources import sources_of_superseded, with_kept_sources
from exchange.usecases.posting.post_checks import check_sources, compose, originator_of, require_in_force
from exchange.usecases.posting.proxies import standing_consent
from exchange.usecases.steps.context import Call, Services
from exchange.usecases.steps.facts import stated_purpose
from exchange.usecases.steps.recording import draft, on_record
from exchange.usecases.steps.unread import known_agreements


@dataclass(frozen=True, slots=True)
class Postable:
    """The header of a report that may be posted, the consents it rests on, and what it would supersede."""

    header: Header
    consents: tuple[str, ...]
    superseded: Source | None

    @property
    def superseded_version(self) -> int | None:
        """Return the version of the report in whose place it comes that it was held against.

        0, which none has, where that had ended by its row: what it was built on was not seen, should it go on by now.
        """
        if self.superseded is None:
            return None
        return 0 if self.superseded.has_ended else self.superseded.report.version


async def postable(  # noqa: PLR0913  one call's surroundings, what is posted, and as what it is recorded
    services: Services,
    call: Call,
    client: Client,
    posted: PostedReport,
    state: PolicyState,
    *,
    event: EventName,
    report_id: ReportId | None = None,
) -> Postable:
    """Return what may be posted.

    Else record under `event` why not, and raise. `report_id` is what the report is called already, where it is.
    """
    agreements = await known_agreements(services, state)
    agreement = agreements.get(AgreementId(posted.agreement))
    named = None if agreement is None else agreement.id
    async with on_record(services, draft(call, client, event, Outcome.REFUSED, agreement=named)):
        # Before any source is looked at: an unknown purpose must not tell which of them exist.
        stated_purpose(services, call, client)
        # (1) agreement
        visible = require_in_force(agreement, client, call)
        await _require_consent(services, call, client, posted, visible, state)
        # (2) scope, content, sources
        built = await check_sources(services, call, client, posted, state)
        members = await services.knowledge.member_codes(services.store, state)
        header = compose(
            *(services, call, client, posted),
            agreement=visible,
            members=members,
            faults=built.faults,
            report_id=report_id,
        )
        # What takes a report's place builds on what that one was built on.
        former = await sources_of_superseded(services, call, built.superseded)
        header, kept = await with_kept_sources(services, call, header, former, state, place="/supersedes")
        return Postable(header, tuple(dict.fromkeys((*built.consents, *kept))), built.superseded)


def idempotency_of(  # noqa: PLR0913  whose key it is, and for what it was sent
    services: Services, client: Client, header: Header, posted: PostedReport, key: str | None, *, is_whole: bool = True
) -> Idempotency | None:
    """Return the key that a client sent with a post, and the digest of what it posted; None without a key."""
    if key is None:
        return None
    # What was posted, without what the exchange itself added to it.
    sent = header_as_json(replace(header, references=posted.references), status=None, marking=lambda _: "")
    sent = {name: value for name, value in sent.items() if name not in {"id", "posted_at"}}
    if not is_whole:
        sent["complete"] = False
    # Keyed: who has the database and guesses what was posted must not be able to tell that it was.
    digest = hmac.digest(_digest_key(services.cursor_key), json.dumps(sent, sort_keys=True).encode(), "sha256")
    return Idempotency(client.id, key, digest.hex())


@lru_cache(maxsize=1)
def _digest_key(cursor_key: bytes) -> bytes:
    return derive_key(cursor_key, "exchange idempotency digests")


async def _require_consent(  # noqa: PLR0913, PLR0917  who posts what for whom, under what and as of when
    services: Services, call: Call, client: Client, posted: PostedReport, agreement: Agreement, state: PolicyState
) -> None:
    """Raise InvalidError where the report is another member's and that one does not consent, whoever it is."""
    originator = originator_of(client, posted)
    if originator == client.member:
        return
    # Of who takes no part no consent is looked for: it is there still, and ends when its member comes back.
    consent = None
    if originator in active_parties(agreement, call.now):
        # Read behind the policy version that the post is decided under: taken back since, it is decided again.
        consent = await standing_consent(
            services, call, client, state, originator=originator, agreement=agreement.id, scope=posted.scope
        )
    if consent is None:
        text = "this member has not consented, or not any more, that yours posts on its behalf in this scope"
        raise InvalidError("the report cannot be posted so", (Fault("/on_behalf_of", "no-consent", text),))
