"""Alerts as auditors see them, as JSON."""

from pydantic import Field

from exchange.wire.base import AnswerModel, Instant
from exchange.wire.words import Id


class AlertSubjectBody(AnswerModel):
    """What an alert is about: a client, a boot of a node, a log, a witness ..."""

    type: str = Field(examples=["client"])
    id: str


class AlertBody(AnswerModel):
    """An alert. `entry` is its own entry in the log, `evidence` names those it rests on, the newest last.

    `member` is whose client it is about, `owner` whose report; null where it is about neither, or does not tell.
    """

    id: Id
    rule: str = Field(examples=["mass-pulls"])
    kind: str = Field(examples=["mass-pulls"])
    severity: str = Field(examples=["high"])
    raised_at: Instant
    subject: AlertSubjectBody
    member: str | None
    owner: str | None
    entry: Id
    evidence: list[str]


class AlertListBody(AnswerModel):
    """A page of alerts, oldest first. `next` always stands: more will follow."""

    items: list[AlertBody]
    next: str
