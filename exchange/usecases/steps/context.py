"""What every use case is given: the wired services, and one call as it came in."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from exchange.audit import Receipt
from exchange.custody import Custodian
from exchange.kernel import Clock
from exchange.kernel.addresses import Network
from exchange.kernel.spans import UNTRACED, Tracer
from exchange.release import Assurance, Law
from exchange.store import Store
from exchange.store.database.fair_turns import FairTurns
from exchange.store.log.last_signed import LastSignedFile
from exchange.store.log.witness_files import WitnessedFile, WitnessPolicyFile
from exchange.store.reads.authority_files import AuthorityFiles
from exchange.usecases.steps.knowledge import Knowledge
from exchange.usecases.steps.registering import ReadRegister
from exchange.usecases.steps.standing_alone import StandingAlone
from exchange.usecases.steps.watching import Watching

T = TypeVar("T")

DEFAULT_PURPOSE = "defence"
"""The purpose of a client that registered none (contract, `Exchange-Purpose`)."""


@dataclass(frozen=True, slots=True)
class Witnessing:
    """Who witnesses the log, what they hold of it, and what this host signed last: files of this node, None for none.

    Where `quorum_seconds` is set, the node is not ready while checkpoints stand without the policy's quorum longer.
    """

    policy: WitnessPolicyFile | None = None
    witnessed: WitnessedFile | None = None
    last_signed: LastSignedFile | None = None
    quorum_seconds: int | None = None
    alone: StandingAlone = field(default_factory=StandingAlone)


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """What reports may be whose parts come later: all parts of one together, what is read whole, how many, how long."""

    most_bytes: int = 256 * 1024 * 1024
    most_read_whole_bytes: int = 16 * 1024 * 1024
    open_per_client: int = 16
    """Each holds what has come of it; who needs more completes some first."""
    given_up_after: timedelta = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Services:
    """The rooms downstairs, wired once per process. `randomness` returns that many cryptographic random bytes."""

    store: Store
    custodian: Custodian
    law: Law
    clock: Clock
    randomness: Callable[[int], bytes]
    cursor_key: bytes
    knowledge: Knowledge = field(default_factory=Knowledge)
    witnessing: Witnessing = field(default_factory=Witnessing)
    register: ReadRegister = field(default_factory=ReadRegister)
    authorities: AuthorityFiles | None = None
    """Whose authorities issue certificates; None where the instance keeps none, as in suites."""
    private_networks: tuple[Network, ...] = ()
    """Where webhooks may lead though it is not public; the operator says so."""
    uploads: UploadLimits = field(default_factory=UploadLimits)
    watching: Watching = field(default_factory=Watching)
    tracer: Tracer = UNTRACED
    drafting: FairTurns = field(default_factory=lambda: FairTurns(1))
    """Whose draft of an agreement is being simulated: one at a time, and each member's in turn."""
    deciding: FairTurns = field(default_factory=lambda: FairTurns(1))
    """Who decides about much: a little of it at a time, and each member in turn."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `now` is its one time; `thumbprint` names the certificate, None the host's own command line.

    Where it `is_service` nobody asks: the exchange does by itself what time brings about.

    `certificate_subject` is the certificate's distinguished name and `user_agent` what the caller's program calls
    itself: for the record alone, nothing is decided by them. `public_key` is the SHA-256 of the certificate's key: two
    clients of one key are one person.
    `purpose` is what the caller stated, None where it stated nothing.
    """

    request_id: str
    source: str
    thumbprint: str | None
    now: datetime
    purpose: str | None = None
    assurance: Assurance = Assurance.MUTUAL_TLS
    certificate_subject: str | None = None
    user_agent: str | None = None
    public_key: str | None = None
    is_service: bool = False

    @property
    def is_host(self) -> bool:
        """Return whether the operator acts at the host's own command line."""
        return self.thumbprint is None and not self.is_service


@dataclass(frozen=True, slots=True)
class Recorded(Generic[T]):
    """An answer together with the receipt of the audit entry that was durable before it existed."""

    value: T
    receipt: Receipt
    unopened: int = 0
    """How much that belongs to the answer cannot be read, and may not be named."""
