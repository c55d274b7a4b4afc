"""What the database itself refuses: no role of the service's changes an entry, and no role but the owner the tree."""

import asyncio
import secrets
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from exchange.audit import EventName
from exchange.kernel import ConflictError, UnavailableError
from exchange.store import Store, migrate
from exchange.store.database.roles import AUDITOR, SEQUENCER, SERVICE
from exchange.store.rows.log_rows import CosignatureRow
from exchange.usecases.log.sequence_log import Step
from exchange.usecases.log.sweep_log import Index, Sweep
from tests.support.log import Log, check_log
from tests.support.postgres import PostgresServer, execute
from tests.support.store import draft, member, open_store, rows_of, run_apart

STATE = "INSERT INTO log_state VALUES (1, 'example/log', 'keys', 1, 2, {root}, 5, {root}, NULL, NULL)"
LEAF = "INSERT INTO log_leaf VALUES (1, 0, 'entry', {root})"
TILE = "INSERT INTO log_tile VALUES (1, 0, 0, 1, {root})"
FULL_TILE = "INSERT INTO log_tile VALUES (1, 0, 1, 256, {root})"
CHECKPOINT = "INSERT INTO log_checkpoint VALUES (1, 2, {root}, 5, {root})"
UNWITNESSED = "INSERT INTO log_checkpoint VALUES (1, 1, {root}, 4, {root})"
COSIGNATURE = "INSERT INTO log_cosignature VALUES (1, 2, 'witness', 'line', 6)"


@pytest.fixture
async def grown(store: Store, backend: str) -> Store:
    """A store whose tables of the tree all have a row."""
    await store.append(draft())
    for statement in (STATE, LEAF, TILE, FULL_TILE, UNWITNESSED, CHECKPOINT, COSIGNATURE):
        await rows_of(store, statement.format(root=literal("11" * 32, backend)))
    return store


def literal(digits: str, backend: str) -> str:
    return f"X'{digits}'" if backend == "sqlite" else rf"'\x{digits}'::bytea"


CHANGES = (
    "UPDATE audit_entry SET content = 'x'",
    "DELETE FROM audit_entry",
    "UPDATE log_leaf SET position = 7",
    "DELETE FROM log_leaf",
    "UPDATE log_checkpoint SET signed_at = 1",
    # One that nothing hangs on: of the other one its cosignature keeps hold.
    "DELETE FROM log_checkpoint WHERE size = 1",
    "UPDATE log_cosignature SET line = 'another'",
    "DELETE FROM log_cosignature",
    "DELETE FROM log_tile",
    "UPDATE log_tile SET width = 256 WHERE width = 256",
    "UPDATE log_tile SET width = 0 WHERE width = 1",
    "UPDATE log_tile SET width = 2, hashes = {other} WHERE width = 1",
    "UPDATE log_tile SET idx = 9 WHERE width = 1",
    "DELETE FROM log_state",
    "UPDATE log_state SET size = 1",
    "UPDATE log_state SET signed_at = 4",
    "UPDATE log_state SET origin = 'example/other'",
    "UPDATE log_state SET keys = 'others'",
)


async def test_database_refuses_to_change_what_the_log_holds(
    grown: Store, backend: str, subtests: pytest.Subtests
) -> None:
    for change in CHANGES:
        with subtests.test(change), pytest.raises((UnavailableError, ConflictError)):
            await rows_of(grown, change.format(other=literal("22" * 64, backend)))


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE log_tile SET width = 2, hashes = {wider} WHERE width = 1",
        "UPDATE log_state SET size = 3, signed_at = 5",
        "UPDATE log_state SET frozen_at = 9, frozen_why = 'smaller'",
    ],
)
async def test_database_lets_the_log_grow(grown: Store, backend: str, change: str) -> None:
    wider = literal("11" * 32 + "22" * 32, backend)

    await rows_of(grown, change.format(wider=wider))


@pytest.fixture(scope="module")
def roles_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A migrated database, as the server's superuser reaches it."""
    url = postgres_server.create_database()
    run_apart(lambda: asyncio.run(migrate(url)))
    yield url.replace("+asyncpg", "")
    postgres_server.drop_database(url)


STAYING = (
    *("audit_entry", "log_leaf", "log_checkpoint", "log_cosignature", "log_tile", "log_state", "log_archive"),
    *("personal_key", "pending_act", "pending_act_end", "caveat_set"),
    *("agreement_signature", "agreement_signature_end", "signatory_key"),
)


def test_owner_too_empties_no_table_of_what_stays(roles_url: str) -> None:
    for table in STAYING:
        with pytest.raises(asyncpg.RaiseError):
            execute(roles_url, f"TRUNCATE {table} CASCADE")


ALLOWED = {
    SERVICE: [
        "INSERT INTO audit_outbox (entry_id) VALUES ('x')",
        "SELECT content FROM audit_entry",
        "SELECT note FROM log_state",
        "UPDATE policy_state SET policy_digest = 'x'",
        "DELETE FROM idempotency",
    ],
    SEQUENCER: [
        "INSERT INTO audit_outbox (entry_id) VALUES ('x')",
        "DELETE FROM audit_outbox",
        "UPDATE policy_state SET report_seq = report_seq",
        "INSERT INTO log_leaf VALUES (1, 0, 'x', 'x')",
        "UPDATE log_state SET size = 1",
        "SELECT content FROM audit_entry",
    ],
    AUDITOR: ["SELECT content FROM audit_entry", "SELECT * FROM log_checkpoint"],
}
REFUSED = {
    SERVICE: [
        "UPDATE audit_entry SET content = 'x'",
        "DELETE FROM audit_entry",
        "TRUNCATE audit_entry",
        "INSERT INTO log_archive VALUES (1, 0, 'x', 'x', 1, 'x')",
        "DELETE FROM audit_outbox",
        "UPDATE audit_outbox SET entry_id = 'x'",
        "INSERT INTO log_leaf VALUES (1, 0, 'x', 'x')",
        "UPDATE log_state SET size = 1",
        "INSERT INTO log_tile VALUES (1, 0, 0, 1, 'x')",
        "INSERT INTO log_checkpoint VALUES (1, 2, 'x', 1, 'x')",
        "DELETE FROM log_cosignature",
        "ALTER TABLE audit_entry DISABLE TRIGGER ALL",
        "DROP TABLE audit_entry",
        # What is never changed by anybody.
        "UPDATE release_class SET facts = 'x'",
        "UPDATE consultation_said SET text = 'x'",
        "UPDATE duty_breach SET due_at = 1",
    ],
    SEQUENCER: [
        "UPDATE audit_entry SET content = 'x'",
        "TRUNCATE audit_entry",
        "UPDATE log_archive SET location = 'x'",
        "DELETE FROM log_archive",
        "DELETE FROM log_leaf",
        "UPDATE log_leaf SET position = 1",
        "SELECT * FROM report_part",
        "SELECT * FROM client",
        "UPDATE policy_state SET policy_digest = 'x'",
        "DELETE FROM log_tile",
    ],
    AUDITOR: [
        "INSERT INTO audit_entry (id) VALUES ('x')",
        "DELETE FROM audit_entry",
        "INSERT INTO log_archive VALUES (1, 0, 'x', 'x', 1, 'x')",
        "SELECT * FROM report",
        "SELECT * FROM client",
        "INSERT INTO audit_outbox (entry_id) VALUES ('x')",
    ],
}


@pytest.mark.parametrize(("role", "statement"), [(role, each) for role in ALLOWED for each in ALLOWED[role]])
def test_role_may_do_its_work(roles_url: str, role: str, statement: str) -> None:
    execute(roles_url, f"SET ROLE {role}; {statement}")


@pytest.mark.parametrize(("role", "statement"), [(role, each) for role in REFUSED for each in REFUSED[role]])
def test_role_may_do_nothing_else(roles_url: str, role: str, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        execute(roles_url, f"SET ROLE {role}; {statement}")


def test_migrating_again_takes_back_what_somebody_granted(roles_url: str) -> None:
    execute(roles_url, f"GRANT DELETE ON audit_entry TO {SERVICE}")
    run_apart(lambda: asyncio.run(migrate(roles_url.replace("postgresql://", "postgresql+asyncpg://"))))

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        execute(roles_url, f"SET ROLE {SERVICE}; DELETE FROM audit_entry")


@pytest.fixture
def login(postgres_server: PostgresServer, request: pytest.FixtureRequest) -> Callable[[str, str], str]:
    """Gives the address of a database for a login of one's own in a role."""

    def address(url: str, role: str) -> str:
        name = f"login_{secrets.token_hex(6)}"
        execute(postgres_server.admin_url, f"CREATE ROLE {name} LOGIN PASSWORD 'p' IN ROLE {role}")
        request.addfinalizer(lambda: execute(postgres_server.admin_url, f"DROP ROLE {name}"))
        parts = urlsplit(url)
        return urlunsplit(parts._replace(netloc=f"{name}:p@{parts.netloc.rpartition('@')[2]}"))

    return address


@pytest.mark.parametrize("backend", ["postgresql"])
async def test_service_and_sequencer_do_their_work_as_what_they_are(log: Log, login: Callable[[str, str], str]) -> None:
    service = await open_store(login(log.url, SERVICE))
    async with service.unit_of_work() as unit:
        await unit.add_member(member("NOR"))
        await unit.record(draft(EventName.MEMBER_ADDED))
    for _ in range(3):
        await service.append(draft())
    log.url = login(log.url, SEQUENCER)
    own = await open_store(log.url)
    sequencer = await log.sequencer(record=own.append)
    try:
        assert await log.drain(sequencer) is Step.IDLE
        await sequencer.rest()
        desk = await log.desk()
        assert not await Index(desk.tree).chunk()
        assert await Sweep(desk.tree, own.append, log.clock, bytes).chunk()
        kept = await service.log.kept_checkpoint(1)
        assert kept is not None
        await service.add_cosignature(CosignatureRow(1, kept.size, "witness.example", "line", 5))
        await desk.tree.freeze(1, at=5, why="a test")
        await check_log(log)
    finally:
        await service.close()
        await own.close()


SHADOWED = (
    "CREATE TEMP TABLE log_archive (log bigint, idx bigint); INSERT INTO pg_temp.log_archive VALUES (1, 0);"
    " CREATE TEMP TABLE log_leaf (log bigint, position bigint, entry_id text);"
    " INSERT INTO pg_temp.log_leaf VALUES (1, 0, 'e')"
)


@pytest.mark.parametrize("before", ["SELECT 1", SHADOWED], ids=["plainly", "behind tables of the same name"])
def test_sequencer_deletes_no_entry_that_is_not_in_the_archive(roles_url: str, before: str) -> None:
    entry = "INSERT INTO audit_entry VALUES ('e', 'x')"

    # One implicit transaction: the refusal takes the entry back.
    with pytest.raises(asyncpg.RaiseError, match="never changed or deleted"):
        execute(roles_url, f"{entry}; SET ROLE {SEQUENCER}; {before}; DELETE FROM audit_entry")


def test_sequencer_calls_nothing_archived_that_is_not_next_and_whole(roles_url: str) -> None:
    with pytest.raises(asyncpg.RaiseError, match="next whole bundle"):
        execute(
            roles_url,
            f"SET ROLE {SEQUENCER}; INSERT INTO log_archive VALUES (1, 0, 'x', decode(repeat('11', 32), 'hex'), 1, 'x')",
        )
