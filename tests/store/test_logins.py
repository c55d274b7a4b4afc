"""Logins of PostgreSQL: each process has one that can do what its role may, and owns nothing."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterator

import asyncpg
import pytest
from sqlalchemy.engine import make_url

from exchange.kernel import InvalidError
from exchange.store import migrate
from exchange.store.database.logins import scram_verifier, set_login
from exchange.store.database.roles import AUDITOR, SEQUENCER, SERVICE
from tests.support.postgres import PostgresServer, execute, fetch

PASSWORD = b"0123456789abcdef" * 4


@pytest.fixture
def login(postgres_server: PostgresServer) -> Iterator[str]:
    name = f"login_{secrets.token_hex(6)}"
    yield name
    url = postgres_server.create_database()
    execute(plain(url), f"DROP ROLE IF EXISTS {name}")
    postgres_server.drop_database(url)


def plain(url: str) -> str:
    """Return the address as the driver takes it."""
    return url.replace("+asyncpg", "")


@pytest.fixture
async def url(postgres_server: PostgresServer, login: str):
    found = postgres_server.create_database()
    await migrate(found)
    yield found
    postgres_server.drop_database(found)


def options(url: str, login: str) -> tuple[bool, ...]:
    columns = "rolcanlogin, rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls"
    return tuple(fetch(plain(url), f"SELECT {columns} FROM pg_roles WHERE rolname = $1", login)[0])


async def refusal(connection: asyncpg.Connection, statement: str) -> str | None:
    try:
        await connection.execute(statement)
    except asyncpg.PostgresError as error:
        return str(error.sqlstate)
    return None


async def test_login_does_what_its_role_may_and_no_more(url: str, login: str) -> None:
    await set_login(url, login, SERVICE, PASSWORD)
    connection = await asyncpg.connect(plain(url), user=login, password=PASSWORD.decode())
    try:
        assert await refusal(connection, "INSERT INTO audit_entry (id, content) VALUES ('e', 'x')") is None
        forbidden = ("UPDATE audit_entry SET content = 'y'", "DELETE FROM audit_entry", "DROP TABLE audit_entry")
        assert [await refusal(connection, each) for each in forbidden] == ["42501"] * 3
    finally:
        await connection.close()
    assert options(url, login) == (True, False, False, False, False, False)


async def test_service_deletes_what_is_not_kept_and_nothing_else(url: str) -> None:
    asked = (
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        " AND has_table_privilege($1, oid, 'DELETE')"
    )

    assert {row[0] for row in fetch(plain(url), asked, SERVICE)} == {
        "alert_memory",
        "blob_debris",
        "idempotency",
        "part_piece",
        "report_part",
        "subscription_delivery",
        "upload_part",
    }


async def test_login_set_again_has_the_password_of_now(url: str, login: str) -> None:
    kept = "SELECT rolpassword FROM pg_authid WHERE rolname = $1"
    await set_login(url, login, SEQUENCER, PASSWORD)
    before = fetch(plain(url), kept, login)[0][0]
    execute(plain(url), f"ALTER ROLE {login} CREATEROLE")

    await set_login(url, login, SEQUENCER, PASSWORD[::-1])

    after = fetch(plain(url), kept, login)[0][0]
    salt = base64.b64decode(after.split("$")[1].partition(":")[2])
    assert before != after == scram_verifier(PASSWORD[::-1], salt)
    assert options(url, login) == (True, False, False, False, False, False)


async def test_login_that_moves_to_another_role_leaves_the_one_before(url: str, login: str) -> None:
    """One made in the wrong role first could delete archived entries ever after."""
    await set_login(url, login, SEQUENCER, PASSWORD)

    await set_login(url, login, SERVICE, PASSWORD)

    stands = f"SELECT roleid::regrole::text FROM pg_auth_members WHERE member = '{login}'::regrole"
    assert [row[0] for row in fetch(plain(url), stands)] == [SERVICE]


async def test_owner_that_is_no_superuser_migrates_and_makes_logins(url: str, login: str) -> None:
    """As on a managed database, with a table of somebody else in the same schema."""
    owner = f"{login}_owner"
    database = make_url(url).database
    execute(plain(url), f"CREATE ROLE {owner} LOGIN CREATEROLE")
    try:
        for role in (SERVICE, SEQUENCER, AUDITOR):
            execute(plain(url), f"GRANT {role} TO {owner} WITH ADMIN OPTION")
        execute(plain(url), f"CREATE SCHEMA own AUTHORIZATION {owner}")
        execute(plain(url), f"ALTER ROLE {owner} IN DATABASE {database} SET search_path = own")
        execute(plain(url), "CREATE TABLE own.theirs (number serial)")
        as_owner = make_url(url).set(username=owner).render_as_string(hide_password=False)

        for _ in range(2):
            await migrate(as_owner)
            await set_login(as_owner, login, SERVICE, PASSWORD)
        with pytest.raises(InvalidError, match="owns tables"):
            await set_login(as_owner, owner, SERVICE, PASSWORD)

        may = "SELECT has_table_privilege($1, 'own.audit_entry', $2)"
        assert [fetch(plain(url), may, login, right)[0][0] for right in ("INSERT", "DELETE")] == [True, False]
        assert options(url, login) == (True, False, False, False, False, False)
    finally:
        execute(plain(url), f"DROP OWNED BY {owner} CASCADE")
        execute(plain(url), f"DROP ROLE {login}")
        execute(plain(url), f"DROP ROLE {owner}")


def test_verifier_is_what_the_client_proves_against() -> None:
    # RFC 5802 §3, from the client's side: the proof, taken off the signature, must hash to the stored key.
    scheme, rounds, keys = scram_verifier(PASSWORD, b"salt" * 4).split("$")
    stored, server = (base64.b64decode(each) for each in keys.split(":"))
    salted = hashlib.pbkdf2_hmac("sha256", PASSWORD, b"salt" * 4, int(rounds.partition(":")[0]))

    assert scheme == "SCRAM-SHA-256"
    assert hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest() == stored
    assert hmac.digest(salted, b"Server Key", "sha256") == server


@pytest.mark.parametrize(
    ("name", "role", "password"),
    [
        ("app; DROP TABLE member", SERVICE, PASSWORD),
        ("App", SERVICE, PASSWORD),
        ("", SERVICE, PASSWORD),
        ("a" * 64, SERVICE, PASSWORD),
        (SERVICE, SERVICE, PASSWORD),
        ("app", "postgres", PASSWORD),
        ("app", SERVICE, PASSWORD[:31]),
        ("app", SERVICE, "é".encode() * 32),
    ],
)
async def test_login_that_cannot_be_is_refused(name: str, role: str, password: bytes) -> None:
    with pytest.raises(InvalidError):
        await set_login("postgresql+asyncpg://nobody@127.0.0.1:1/none", name, role, password)


async def test_sqlite_has_no_logins() -> None:
    with pytest.raises(InvalidError, match="SQLite"):
        await set_login("sqlite+aiosqlite:///none.db", "app", SERVICE, PASSWORD)
