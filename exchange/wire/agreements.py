"""Agreements as JSON. What parties propose is checked by `agreements`; these models describe the form."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from exchange.agreements import Agreement, TreatyText, agreement_as_json, terms_as_json, terms_from_stored
from exchange.wire.acts import Digest
from exchange.wire.base import AnswerModel, Instant, WireModel
from exchange.wire.lists import ListAnswer
from exchange.wire.words import Id, MemberCodeText

Codes = list[str]
AgreementStateName = Literal["draft", "signed", "in_force", "suspended", "expired", "withdrawn"]
PartyStateName = Literal["pending", "signed", "suspended", "withdrawn"]

Duration = Annotated[str, Field(examples=["P90D"])]
DayText = Annotated[str, Field(examples=["2030-12-31"], json_schema_extra={"format": "date"})]


class ValidityBody(WireModel):
    """First and last day of force, both inclusive, in UTC."""

    first_day: DayText = Field(alias="from")
    last_day: DayText = Field(alias="until")
    review_every: Duration | None = None


class ScopeBody(WireModel):
    """One clause: who may post what to whom, up to which level."""

    name: str = Field(examples=["cyber-threats"])
    topics: Codes
    regions: Codes
    kinds: Codes
    purposes: Codes
    ceiling: str = Field(examples=["SECRET"])
    compartments: Codes = Field(default_factory=list)
    contributors: list[MemberCodeText]
    readers: list[MemberCodeText]
    onward_release: Literal["never", "originator-consent", "parties"]
    retention: Duration
    answers: Literal["asker", "asked"] | None = None


class ObligationBody(WireModel):
    """What one party (`all` = each) owes in one scope."""

    party: str
    scope: str
    report_every: Duration | None = None
    acknowledge: dict[str, Duration] | None = None


class TerminationBody(WireModel):
    """Notice, and the fate of reports already shared."""

    notice: Duration
    shared_reports: Literal["recalled", "kept"]


class NamedSignatoryBody(WireModel):
    """A person whom the text names: the name under which its member enrolled it."""

    member: MemberCodeText
    name: str = Field(examples=["Ada Byron"])


class CrisisClauseBody(WireModel):
    """What two of `signatories`, of different members, may open in one scope, for at most so many hours."""

    name: str = Field(examples=["storm-watch"])
    scope: str = Field(examples=["cyber-threats"])
    ceiling: str | None = None
    readers: list[MemberCodeText] | None = None
    at_most: Duration = Field(examples=["PT72H"])
    signatories: list[NamedSignatoryBody]
    older_reports: Literal["excluded", "included"] | None = None


class TermsBody(WireModel):
    """The text of an agreement: everything the parties sign."""

    title: str = Field(examples=["North Sea cyber warning arrangement"])
    parties: list[MemberCodeText]
    policy: str = Field(examples=["NATO"])
    validity: ValidityBody
    scopes: list[ScopeBody]
    obligations: list[ObligationBody] = Field(default_factory=list)
    termination: TerminationBody
    older_reports: Literal["excluded", "included"] | None = None
    crisis: list[CrisisClauseBody] | None = None


class PartyBody(AnswerModel):
    """Where one party stands; one that has given notice stays so until `leaves_at`."""

    member: MemberCodeText
    state: PartyStateName
    leaves_at: Instant | None = None


class AgreementBody(AnswerModel):
    """One agreement as its parties see it; `text` is the digest of what they sign, `previous` of the text before.

    `review_due` is the last day on which a review fell due, `next_review` the first one to come.
    """

    id: Id
    version: int
    edition: int
    previous: Digest | None
    text: Digest
    state: AgreementStateName
    title: str
    parties: list[PartyBody]
    policy: str
    validity: ValidityBody
    scopes: list[ScopeBody]
    obligations: list[ObligationBody]
    termination: TerminationBody
    older_reports: Literal["excluded", "included"] | None = None
    crisis: list[CrisisClauseBody] | None = None
    review_due: DayText | None = None
    next_review: DayText | None = None

    def to_text(self) -> TreatyText:
        """Return the text to be signed, made from what this answer says and not from the digest in it."""
        written = TermsBody.model_validate(
            {name: getattr(self, name) for name in TermsBody.model_fields}
            | {"parties": [party.member for party in self.parties]}
        )
        terms = terms_from_stored(written.model_dump(mode="json", by_alias=True, exclude_none=True))
        return TreatyText(self.id, self.edition, self.previous, terms_as_json(terms))

    @classmethod
    def of(cls, agreement: Agreement, now: datetime) -> "AgreementBody":
        """Return `agreement` as it stands at `now`."""
        return cls.model_validate(agreement_as_json(agreement, now))


class AgreementListBody(ListAnswer):
    """The agreements that the caller's member is a party of."""

    items: list[AgreementBody]
