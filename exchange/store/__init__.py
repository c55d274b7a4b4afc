"""Store: the only room with SQL.

Promises: what a writing call returned is on the disk; a change and its audit entry become durable together or not
at all; reports are numbered in the order of their commits, so a position never skips one; every version of a member,
client and agreement is kept; whatever the database does, callers see UnavailableError or ConflictError.
Does not: decide anything, open anything that is sealed, or let a table row out.
"""

from exchange.store.books.amendments import unread_amendment, unread_signature
from exchange.store.books.breach_book import BreachKind, BreachRow, UnreadBreach
from exchange.store.books.consent_book import (
    UNDECIDED,
    ConsentState,
    DerivationRow,
    DerivationWish,
    OnwardRow,
    OnwardWish,
)
from exchange.store.books.crisis_book import CrisisOpeners
from exchange.store.books.kept_keys import KeptKind, KeptRow, SealedDeclaration
from exchange.store.books.personal_keys import PersonalCustody, PersonalKeyRow
from exchange.store.books.proxy_book import ProxyRow, ProxyState, ProxyWish
from exchange.store.books.report_book import ReportBook
from exchange.store.books.report_receipts import ACKNOWLEDGED_MEANWHILE, ReceiptHow, ReceiptRow
from exchange.store.books.request_book import NewRequest, RequestAnswer, RequestRow
from exchange.store.books.stream_book import StreamKind
from exchange.store.books.unit_of_work import UnitOfWork, UnrecordedChangeError
from exchange.store.database.lineage import OutgrownError
from exchange.store.database.observing import LANES, StoreLoad, StoreObserver
from exchange.store.database.schema import Migrated, head, migrate, require_file, revision, schema_state
from exchange.store.log.blobs import BlobMissingError, BlobStore
from exchange.store.log.large_parts import BlobPlace
from exchange.store.log.searching import Hit, Place, Sought
from exchange.store.reads.duty_reader import Countable, CountedReport
from exchange.store.reads.history import History, ReportRecord, Span
from exchange.store.rows.caveat_rows import CaveatSet, CaveatsInForce, CaveatText
from exchange.store.rows.life_rows import (
    DestructionRow,
    EndCause,
    FormerVersion,
    GivenTo,
    NoticeKind,
    NoticeRow,
    Superseding,
    TombstoneRow,
    UnreadDestruction,
)
from exchange.store.rows.log_rows import LogState, Placed
from exchange.store.rows.main_rows import (
    CallerRow,
    ClassRow,
    Idempotency,
    IdempotentReplay,
    NewPart,
    NewReport,
    PageRow,
    PartRow,
    Parts,
    PolicyState,
    PostedRow,
    PullRow,
    ReportRow,
    Sealed,
    StoredClass,
)
from exchange.store.rows.unread import Unread, UnreadRow
from exchange.store.rows.upload_rows import NewUpload, OpenUploadRow, ReceivedPart, UploadEnd, UploadPartRow, UploadRow
from exchange.store.store import Store

__all__ = [
    "ACKNOWLEDGED_MEANWHILE",
    "LANES",
    "UNDECIDED",
    "BlobMissingError",
    "BlobPlace",
    "BlobStore",
    "BreachKind",
    "BreachRow",
    "CallerRow",
    "CaveatSet",
    "CaveatText",
    "CaveatsInForce",
    "ClassRow",
    "ConsentState",
    "Countable",
    "CountedReport",
    "CrisisOpeners",
    "DerivationRow",
    "DerivationWish",
    "DestructionRow",
    "EndCause",
    "FormerVersion",
    "GivenTo",
    "History",
    "Hit",
    "Idempotency",
    "IdempotentReplay",
    "KeptKind",
    "KeptRow",
    "LogState",
    "Migrated",
    "NewPart",
    "NewReport",
    "NewRequest",
    "NewUpload",
    "NoticeKind",
    "NoticeRow",
    "OnwardRow",
    "OnwardWish",
    "OpenUploadRow",
    "OutgrownError",
    "PageRow",
    "PartRow",
    "Parts",
    "PersonalCustody",
    "PersonalKeyRow",
    "Place",
    "Placed",
    "PolicyState",
    "PostedRow",
    "ProxyRow",
    "ProxyState",
    "ProxyWish",
    "PullRow",
    "ReceiptHow",
    "ReceiptRow",
    "ReceivedPart",
    "ReportBook",
    "ReportRecord",
    "ReportRow",
    "RequestAnswer",
    "RequestRow",
    "Sealed",
    "SealedDeclaration",
    "Sought",
    "Span",
    "Store",
    "StoreLoad",
    "StoreObserver",
    "StoredClass",
    "StreamKind",
    "Superseding",
    "TombstoneRow",
    "UnitOfWork",
    "Unread",
    "UnreadBreach",
    "UnreadDestruction",
    "UnreadRow",
    "UnrecordedChangeError",
    "UploadEnd",
    "UploadPartRow",
    "UploadRow",
    "head",
    "migrate",
    "require_file",
    "revision",
    "schema_state",
    "unread_amendment",
    "unread_signature",
]
