"""What a use case says happened, before the log gives it its place, number and bytes."""

from dataclasses import dataclass, field
from datetime import datetime

from exchange.audit.events import EventName, Outcome

Detail = dict[str, str | int | list[str]]
"""What an entry says besides, by name."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acted: an enrolled client, the operator at the host's command line, or the service itself.

    `kind` is `client`, `host` or `service`; for a certificate nobody is enrolled with, `kind` is `unknown`
    and only `thumbprint` is known. Level and compartments are the clearance as of the entry's time.
    `name`, `thumbprint` and the certificate's subject are personal data: an entry never holds them in the clear.
    `version` is that of the client as it was admitted: no entry says it, the store holds what is done against it.
    """

    kind: str
    id: str | None = None
    member: str | None = None
    agency: str | None = None
    thumbprint: str | None = None
    level: str | None = None
    compartments: tuple[str, ...] = ()
    name: str | None = None
    certificate_subject: str | None = None
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """What was acted on: its kind (`report`, `agreement`, `client` ...), id, and version where it has one."""

    kind: str
    id: str
    version: int | None = None


@dataclass(frozen=True, slots=True)
class EntryDraft:
    """One thing that happened. `at` is the request's one time; `label` the JSON form of a label.

    `source` is the address that a request came from, or a place of the exchange's own (`host`, `local`); `user_agent`
    is what the program at that address calls itself. Both are personal data.

    `owner` is the member whose report, client or agreement it concerns (the originator for reports):
    it decides whose audit slice the entry is in, besides the actor's own. `result_ids` are the reports
    that a list showed, in order. `detail` holds small facts of administration (no content, no subject
    line, no secret).
    """

    event: EventName
    outcome: Outcome
    at: datetime
    actor: Actor
    request_id: str
    source: str
    subject: Subject | None = None
    owner: str | None = None
    label: dict[str, str | list[str]] | None = None
    agreement: str | None = None
    scope: str | None = None
    purpose: str | None = None
    policies: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    size_bytes: int | None = None
    result_ids: tuple[str, ...] | None = None
    detail: Detail = field(default_factory=dict)
    user_agent: str | None = None
