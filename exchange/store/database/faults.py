"""Turns what a database driver raises into the exchange's own errors; nothing else leaves this room.

A driver's text may quote values of the row it failed on, so of PostgreSQL only the kind of failure is told, and of
SQLite no text that cannot be read.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
from asyncpg.exceptions import TargetServerAttributeNotMatched
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from exchange.kernel import ConflictError, ExchangeError, UnavailableError

DRIVER_ERRORS = (
    sqlite3.Error,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
    EOFError,
)
"""What raw drivers raise. OSError and EOFError are connections that broke; asyncpg's internal error is what it raises
on a connection that the server ended while it was idle."""

_ROW_ERRORS = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.DataError,
    asyncpg.ProgramLimitExceededError,  # a text that is too long for an index
    OverflowError,
    UnicodeEncodeError,
)
_CONFLICTS = (sqlite3.IntegrityError, asyncpg.IntegrityConstraintViolationError, IntegrityError)

_NO_TEXT = "Could not decode to UTF-8"
"""What SQLite's driver begins with; the text itself comes after it."""

SILENT_STORE = "the store cannot answer"
"""What every error begins with that says that the database is at fault."""

_LACKING = ("no such table: ", "no such column: ")
"""What SQLite says of a table that somebody altered, and goes on with names of ours, which are for no caller."""

_CUT = "the database ended the connection; another is opened for the next request: see the server's own log"

_MENDS = {
    "ConnectionRefusedError": "nothing listens at the database's address: see that it runs there, and `database_url`",
    "FileNotFoundError": "the database's file, or its socket, is not there: put it back, or see `database_url`",
    "PermissionError": "the database's file, or its socket, is not this user's: run this as the user of the service",
    "gaierror": "the database's host has no address: see `database_url`, and the name service",
    "TimeoutError": "the database was silent for too long: see that it runs, who holds a lock, and the network to it",
    "QueryCanceledError": "the database ended a statement: see `statement_timeout` of its login, and who else cancels",
    "LockNotAvailableError": "somebody holds a lock in the database for long: see `pg_locks`, and who alters tables",
    "IdleInTransactionSessionTimeoutError": "the database ended a transaction that this process was too slow for: "
    "see how busy this machine is, and `idle_in_transaction_session_timeout` of its login",
    "InvalidPasswordError": "the database does not take the password: see `database_password_file`, which is read "
    "for each connection",
    "InvalidAuthorizationSpecificationError": "the database does not take the login: see `database_url`",
    "InvalidCatalogNameError": "the server has no database of that name: see `database_url`",
    "InsufficientPrivilegeError": "the database's login may not do that: run `exchange migrate` as the tables' owner",
    "TooManyConnectionsError": "the database has no connection left: see its `max_connections`",
    "DiskFullError": "the database's disk is full: make room there",
    "ReadOnlySQLTransactionError": "the database takes no writes: see whether its disk is full, and who set "
    "`default_transaction_read_only`",
    "CannotConnectNowError": "the database starts or stops: wait, and see its own log where that goes on",
    **dict.fromkeys(
        (told.removesuffix(": ") for told in _LACKING),
        "the database lacks a table or a column of the exchange: find out who altered it, and `exchange restore` a "
        "backup",
    ),
    "UndefinedTableError": "the database lacks a table of the exchange: see `database_url`, and run `exchange migrate`",
    "InternalServerError": "the database failed inside, as on a full or broken disk: see its own log and its disk",
    "OutOfMemoryError": "the database has no memory left: see its host, and its own log",
    "it is a standby, which lags and is never asked": "it is a standby, which lags and is never asked: "
    "name the primary in `database_url`, or both; where the primary is lost, promote the standby",
    **dict.fromkeys(
        (
            "AdminShutdownError",
            "CrashShutdownError",
            "ConnectionDoesNotExistError",
            "ConnectionResetError",
            "InterfaceError",
            "InternalClientError",
        ),
        _CUT,
    ),
    "attempt to write a readonly database": "the database cannot be written: see whose file it is, and its disk",
    "unable to open database file": "the database file cannot be opened: see that it is there, and whose, and its disk",
    "database or disk is full": "database or disk is full: make room on the disk; where there is room, its numbers are "
    "used up (docs/damage.md, Used-up numbers)",
    "database is locked": "database is locked: see who holds it (`fuser` on `exchange.db`), and try again",
    "a text in a row is no UTF-8": "a text in a row is no UTF-8: find out who wrote it, `exchange doctor` tells which",
    "file is not a database": "file is not a database: look at the disk, put the file aside, and "
    "`exchange restore` a backup",
    "database disk image is malformed": "database disk image is malformed: look at the disk, put the file aside, and "
    "`exchange restore` a backup",
    "disk I/O error": "disk I/O error: look at the disk of the database, and what the system says of it",
    **dict.fromkeys(
        ("DataCorruptedError", "IndexCorruptedError", "PostgresIOError", "UndefinedFileError"),
        "a file of the database is damaged or gone: look at its disk and its own log, and `exchange restore` a backup",
    ),
}
"""What an operator is told of a kind of failure, and to do; callers hear of the kind alone."""


def is_of_one_row(fault: BaseException) -> bool:
    """Return whether a row is at fault, not the database: the others of its batch may still succeed."""
    return isinstance(fault, _ROW_ERRORS) or is_of_no_text(fault)


def is_of_no_text(fault: BaseException) -> bool:
    """Return whether a row holds a text that is no UTF-8, as SQLite keeps it for whoever writes it there."""
    return isinstance(fault, sqlite3.OperationalError) and str(fault).startswith(_NO_TEXT)


def as_exchange_error(fault: BaseException) -> ExchangeError:
    """Return the error to raise in place of `fault`."""
    if isinstance(fault, ExchangeError):
        return fault
    if isinstance(fault, _CONFLICTS):
        return ConflictError("the store holds such a row already, or lacks one that this refers to")
    kind = _kind(fault)
    return UnavailableError(f"{SILENT_STORE}: {_MENDS.get(kind, kind)}{_named(fault)}", told=f"{SILENT_STORE}: {kind}")


@contextmanager
def driver_errors() -> Iterator[None]:
    """Raise UnavailableError or ConflictError in place of what drivers and SQLAlchemy raise."""
    try:
        yield
    except (*DRIVER_ERRORS, SQLAlchemyError) as exc:
        raise as_exchange_error(exc) from exc


def _named(fault: BaseException) -> str:
    """Return what of the schema is lacking, for the operator alone; empty for every other fault."""
    if isinstance(fault, DBAPIError) and fault.orig is not None:
        return _named(fault.orig.__cause__ or fault.orig)
    return f" ({fault})" if isinstance(fault, sqlite3.Error) and str(fault).startswith(_LACKING) else ""


def _kind(fault: BaseException) -> str:
    if isinstance(fault, DBAPIError) and fault.orig is not None:
        return _kind(fault.orig.__cause__ or fault.orig)
    if is_of_no_text(fault):
        # Without the text: it is a row's, and whoever is told may not be who may read it.
        return "a text in a row is no UTF-8"
    if isinstance(fault, sqlite3.Error):
        if getattr(fault, "sqlite_errorname", "") == "SQLITE_IOERR_SHMSIZE":
            # There is no room for the file beside the database; SQLite's text says no more than `disk I/O error`.
            return "database or disk is full"
        text = str(fault)
        return next((told.removesuffix(": ") for told in _LACKING if text.startswith(told)), text)
    if isinstance(fault, TargetServerAttributeNotMatched):
        return "it is a standby, which lags and is never asked"
    return type(fault).__name__
