"""Logins of PostgreSQL for the processes of one exchange, so that none of them is the owner of the tables.

Promises: a login stands in one group role, owns nothing, and set again has the password of now; the database is sent
a verifier (RFC 5803), so that no password stands in a statement or in the database's log.
Does not: remove a login, or take what else somebody granted to it.
"""

import base64
import hashlib
import hmac
import os
import re

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from exchange.kernel import InvalidError
from exchange.store.database.engine import checked_url, is_sqlite, new_engine, used_once
from exchange.store.database.roles import AUDITOR, SEQUENCER, SERVICE

_ROLES = frozenset({SERVICE, SEQUENCER, AUDITOR})
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_RIGHTS = ("super", "createdb", "createrole", "replication", "bypassrls")
"""What no login may: the columns of `pg_roles` without `rol`. `super` is the one that a statement spells out."""
_WAIT_SECONDS = 30.0
_SALT_BYTES = 16
_ITERATIONS = 4096
"""What PostgreSQL itself uses. The passwords are random, so that a higher number would guard nothing."""
_SHORTEST_PASSWORD = 32
"""128 bits in hexadecimal: such a password cannot be guessed from its verifier."""


async def set_login(url: str, login: str, role: str, password: bytes) -> None:
    """Make `login` a member of `role` with this password, or give it that password anew.

    Raises InvalidError for a name or a role that cannot be, a short password, and a database that has no logins.
    """
    parsed = checked_url(url)
    if is_sqlite(parsed):
        raise InvalidError("SQLite has no logins: whoever reads the file reads the database")
    if _NAME.fullmatch(login) is None or login in _ROLES:
        raise InvalidError(f"`{login[:80]}` cannot name a login: use small letters, digits and `_`")
    if role not in _ROLES:
        raise InvalidError(f"`{role[:80]}` is no role of the exchange: use one of {', '.join(sorted(_ROLES))}")
    if len(password) < _SHORTEST_PASSWORD or not password.isascii():
        raise InvalidError(f"the password of `{login}` is too short: make one of {_SHORTEST_PASSWORD} random letters")
    async with used_once(new_engine(parsed, wait_seconds=_WAIT_SECONDS)) as engine, engine.begin() as connection:
        await _set(connection, login, role, scram_verifier(password, os.urandom(_SALT_BYTES)))


def scram_verifier(password: bytes, salt: bytes) -> str:
    """Return what PostgreSQL keeps of a password (RFC 5803; stored and server key: RFC 5802 section 3)."""
    salted = hashlib.pbkdf2_hmac("sha256", password, salt, _ITERATIONS)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    stored = base64.b64encode(hashlib.sha256(client_key).digest()).decode()
    server = base64.b64encode(hmac.digest(salted, b"Server Key", "sha256")).decode()
    return f"SCRAM-SHA-256${_ITERATIONS}:{base64.b64encode(salt).decode()}${stored}:{server}"


async def _set(connection: AsyncConnection, login: str, role: str, verifier: str) -> None:
    # No parameter may stand in these statements: name and role were looked at, and a verifier has no quote in it.
    await _require_no_owner(connection, login)
    columns = ", ".join(f"rol{right}" for right in _RIGHTS)
    asked = text(f"SELECT {columns} FROM pg_roles WHERE rolname = :login")  # noqa: S608  names of ours only
    found = (await connection.execute(asked, {"login": login})).first()
    if found is None:
        await connection.execute(text(f"CREATE ROLE {login}"))
    # Only what it has: who is no superuser may not even say NOSUPERUSER.
    taken = [right for right, has in zip(_RIGHTS, found or (), strict=False) if has]
    options = "".join(f" NO{'superuser' if right == 'super' else right}" for right in taken)
    statement = f"ALTER ROLE {login} LOGIN{options} PASSWORD '{verifier}'".replace(":", r"\:")
    await connection.execute(text(statement))
    for other in await _roles_of(connection, login) - {role}:
        await connection.execute(text(f"REVOKE {other} FROM {login}"))
    await connection.execute(text(f"GRANT {role} TO {login}"))
    left = await _roles_of(connection, login) - {role}
    if left:
        # What another one granted stays, with a warning that nobody sees.
        raise InvalidError(f"`{login}` stands in `{min(left)}` too: whoever granted that revokes it first")


async def _require_no_owner(connection: AsyncConnection, login: str) -> None:
    owns = "SELECT :login = current_user OR EXISTS (SELECT FROM pg_tables WHERE tableowner = :login)"
    if await connection.scalar(text(owns), {"login": login}):
        raise InvalidError(f"`{login}` owns tables, and stands above all rights: name a login of its own")


async def _roles_of(connection: AsyncConnection, login: str) -> set[str]:
    asked = text(
        "SELECT g.rolname FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid"
        " JOIN pg_roles l ON l.oid = m.member WHERE l.rolname = :login"
    )
    return set(await connection.scalars(asked, {"login": login})) & _ROLES
