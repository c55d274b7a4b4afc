"""National caveats as JSON: guards that a member puts in force for its own reports, and what they would change."""

from typing import Annotated, Literal

from pydantic import Field

from exchange.wire.base import AnswerModel, Instant, WireModel
from exchange.wire.lists import ListAnswer
from exchange.wire.words import Id, MemberCodeText

CaveatState = Literal["waiting", "refused", "lapsed", "in_force", "ended"]
ChangeName = Literal["stopped", "narrowed", "opened"]

_MOST_CHARACTERS = 65_536
"""As many as bytes are allowed; the exchange counts those."""

_EXAMPLE_GUARD = (
    '@id("gbr.no-court") @reason("Not for courts.")\n'
    'forbid (principal, action, resource) when { context.purpose == "judicial" };'
)
_EXAMPLE_EXAMPLES = (
    "examples:\n"
    "  - {name: for a court, guard: gbr.no-court, forbids: true, reader: {purpose: judicial}}\n"
    "  - {name: for defence, guard: gbr.no-court, forbids: false}\n"
)


EXAMPLE = {"guards": _EXAMPLE_GUARD, "examples": _EXAMPLE_EXAMPLES}
"""A body that a member whose code is GBR could send."""


class CaveatsText(WireModel):
    """Guards (Cedar, `forbid` only) and the examples beside them (YAML): each guard forbids one and not another."""

    guards: Annotated[str, Field(min_length=1, max_length=_MOST_CHARACTERS, examples=[_EXAMPLE_GUARD])]
    examples: Annotated[str, Field(min_length=1, max_length=_MOST_CHARACTERS, examples=[_EXAMPLE_EXAMPLES])]


class GuardBody(AnswerModel):
    """One guard, by its id, and why it is there."""

    id: str
    reason: str


class CaveatSetBody(AnswerModel):
    """What was asked for, and from when until when it was in force; no guard: that none holds any more.

    `number` counts the versions that were in force; `act` is confirmed, or refused, by a second person.
    """

    id: Id
    member: MemberCodeText
    number: int | None
    state: CaveatState
    guards: list[GuardBody]
    digest: str
    replaces: Id | None
    act: Id
    proposed_by: Id
    proposed_at: Instant
    in_force_at: Instant | None
    ended_at: Instant | None


class CaveatSetTextBody(CaveatSetBody):
    """The same with its text: Cedar and YAML as they were written."""

    cedar: str
    examples: str


class CaveatSetListBody(ListAnswer):
    """Everything that the caller's member asked for, the newest first."""

    items: list[CaveatSetBody]


class ReleaseChangeBody(AnswerModel):
    """What changes for readers of `member` about so many current reports under this marking."""

    member: MemberCodeText
    change: ChangeName
    reports: int
    agreement: Id
    scope: str
    topic: str
    kind: str
    marking: str


class CaveatPreviewBody(ListAnswer):
    """What the guards would change if they were in force; nothing of it is kept."""

    guards: list[GuardBody]
    examples: int
    changes: list[ReleaseChangeBody]
