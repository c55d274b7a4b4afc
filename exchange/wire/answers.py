"""What the exchange says about its law and its decisions, as JSON."""

from typing import Annotated, Literal

from pydantic import Field

from exchange.wire.base import AnswerModel, WireModel
from exchange.wire.words import Id, LabelBody, MemberCodeText, Word

DecisionName = Literal["permit", "tear-line", "refuse"]


class TitledCode(AnswerModel):
    """A word of the vocabulary."""

    code: str
    title: str


class LevelBody(AnswerModel):
    """One level of a security policy: its name in labels, its text in markings, and what it equals elsewhere."""

    name: str
    marking: str
    equivalent: dict[str, str]


class PolicyBody(AnswerModel):
    """A security policy, levels highest first, and those of them that the caller may originate."""

    id: str
    title: str
    levels: list[LevelBody]
    compartments: list[str]
    handling: list[str]
    may_originate: list[str]


class VocabularyBody(AnswerModel):
    """The words that reports and agreements may use, and the labels that the caller may give."""

    policies: list[PolicyBody]
    topics: list[TitledCode]
    regions: list[TitledCode]
    kinds: list[TitledCode]
    purposes: list[TitledCode]


class RuleBody(AnswerModel):
    """One rule and what it said: of one label, or (`label` null) of the report as a whole."""

    number: int
    name: str
    outcome: Literal["passed", "refused", "not-shown"]
    sentence: str
    reason: str | None = None
    label: LabelBody | None = None


class ExplanationBody(AnswerModel):
    """Why the caller may see a report, in reasons it may know."""

    id: Id
    decision: DecisionName | None
    reasons: list[str]
    rules: list[RuleBody]


class SimulationRequest(WireModel):
    """A report that might be posted: its attributes without its content."""

    agreement: Word
    scope: Word
    kind: Word
    topic: Word
    regions: Annotated[list[Word], Field(min_length=1, max_length=64)]
    label: LabelBody
    part_labels: Annotated[list[LabelBody | None], Field(max_length=100)] = Field(default_factory=list)


class AgencyReachBody(AnswerModel):
    """How many clients of one agency could read."""

    agency: str
    full: int
    tear_line: int


class MemberReachBody(AnswerModel):
    """Whether a member could read, by which agencies, and why not where not."""

    member: MemberCodeText
    can_read: bool
    agencies: list[AgencyReachBody]
    reasons: list[str]


class SimulationBody(AnswerModel):
    """Who could read such a report if it were posted now."""

    members: list[MemberReachBody]
