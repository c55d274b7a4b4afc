"""What is read to be moved is held: two who decide about one row on PostgreSQL come one after the other.

SQLite has one writer at a time and no such words, so what is asked of PostgreSQL is looked at here.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy.dialects import postgresql

from exchange.store.books.acting import Acting, hold_client, hold_member
from exchange.store.books.agreement_book import AgreementBook
from exchange.store.books.book import Writing
from exchange.store.books.consent_book import ConsentBook, DerivationBook
from exchange.store.books.consultation_book import ConsultationBook
from exchange.store.books.pending_acts import PendingActs
from exchange.store.books.proxy_book import ProxyBook
from exchange.store.books.report_book import ReportBook
from exchange.store.books.request_book import RequestBook
from exchange.store.books.signatory_keys import SignatoryKeys
from exchange.store.books.time_book import TimeBook
from exchange.store.books.upload_book import UploadBook
from exchange.store.log.alerting import AlertBook
from exchange.store.tables.main_tables import table
from exchange.store.writer.standing import hold_state
from tests.support.store import NOW, client

_ALONE, _SHARED, _COUNTED = "FOR UPDATE", "FOR SHARE", "FOR NO KEY UPDATE"


class Found(list[Any]):
    """No row, and where there must be one, one."""

    def first(self) -> None:
        return None

    def one(self) -> tuple[int, None]:
        return 0, None

    def all(self) -> list[tuple[int]]:
        return [(1,)]


class Session:
    """A session with PostgreSQL that keeps what it is asked, and finds next to nothing."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def scalar(self, statement: Any) -> None:
        self._ask(statement)

    async def scalars(self, statement: Any) -> list[object]:
        self._ask(statement)
        return []

    async def execute(self, statement: Any) -> Found:
        self._ask(statement)
        return Found()

    async def get(self, kind: Any, _: str, *, with_for_update: bool) -> None:
        self.asked.append(f"FROM {table(kind).name} {_ALONE if with_for_update else ''}")

    def held(self) -> list[tuple[str, str]]:
        """Return the tables of which rows were held, and how, in order."""
        return [
            (each.partition("FROM ")[2].split()[0], f"FOR {each.rpartition('FOR ')[2].strip()}")
            for each in self.asked
            if "FOR " in each
        ]

    def _ask(self, statement: Any) -> None:
        self.asked.append(str(statement.compile(dialect=postgresql.dialect())))


def nothing() -> None:
    """Note no write: there is none."""


def writing(session: Any) -> Writing:
    return Writing(session, NOW, nothing, nothing)


async def count() -> None:
    """Count nothing."""


async def acting_of(session: Any) -> None:
    acting = Acting(session)
    acting.counted(client(), count)
    await acting._count()


_STATE = ("policy_state", _ALONE)
HOLDS: dict[str, tuple[Callable[[Any], Awaitable[object]], list[tuple[str, str]]]] = {
    "pending act": (lambda session: PendingActs(writing(session)).one("id"), [("pending_act", _ALONE)]),
    "onward release": (lambda session: ConsentBook(writing(session)).one("id"), [("onward_release", _ALONE)]),
    "derivation": (
        lambda session: DerivationBook(writing(session)).one("id"),
        [("derivation_consent", _ALONE)],
    ),
    "proxy": (lambda session: ProxyBook(writing(session)).one("id"), [("proxy_consent", _ALONE)]),
    "consultation": (lambda session: ConsultationBook(writing(session)).one("id"), [("consultation", _ALONE)]),
    "request": (lambda session: RequestBook(writing(session)).one("id"), [("information_request", _ALONE)]),
    "report": (lambda session: ReportBook(writing(session)).held("id"), [("report", _ALONE)]),
    "destruction": (
        lambda session: ReportBook(writing(session)).destruction("r", "c"),
        [("report_destruction", f"{_ALONE} OF report_destruction")],
    ),
    "order": (lambda session: ReportBook(writing(session)).hold_order(), [_STATE]),
    "state": (lambda session: hold_state(session, "policy_version"), [_STATE]),
    "upload": (lambda session: UploadBook(writing(session)).hold("id"), [("upload", _ALONE)]),
    "agreement": (lambda session: AgreementBook(session).hold("id", of=None), [("agreement", _ALONE)]),
    "client": (lambda session: hold_client(session, "id"), [_STATE, ("client", _ALONE)]),
    "member": (lambda session: hold_member(session, "GBR"), [_STATE, ("member", _ALONE)]),
    "counted": (acting_of, [("member", _SHARED), ("client", _COUNTED)]),
    "acting": (lambda session: Acting(session)._hold("id", "GBR"), [("member", _SHARED), ("client", _SHARED)]),
    "key": (
        lambda session: SignatoryKeys(writing(session)).find("id", for_update=True),
        [("signatory_key", _ALONE)],
    ),
    "alerts": (lambda session: AlertBook(session).held_position(), [("alert_position", _ALONE)]),
    "time": (lambda session: TimeBook(session).held(), [("timekeeping", _ALONE)]),
}


@pytest.mark.parametrize("what", HOLDS)
async def test_what_is_read_to_be_moved_is_held(what: str) -> None:
    session, (hold, held) = Session(), HOLDS[what]

    await hold(session)

    assert session.held() == held
