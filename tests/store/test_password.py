"""The database's password may be exchanged while a process runs, in the file and in the database in either order."""

import asyncio
import logging
import secrets
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy.engine import make_url

from exchange.kernel import UnavailableError, UnsafeSettingError
from exchange.store import Store, migrate
from exchange.store.database.logins import set_login
from exchange.store.database.password import Password
from exchange.store.database.roles import SERVICE
from exchange.store.log.tree_database import opened_database
from tests.support.postgres import execute, fetch, private_cluster
from tests.support.store import draft, open_store


class Lying:
    """What lies there, and what the database takes."""

    def __init__(self) -> None:
        self.word: str | Exception = "first"
        self.taken = {"first"}
        self.asked: list[str] = []
        self.password = Password(self.read)

    def read(self) -> str:
        if isinstance(self.word, Exception):
            raise self.word
        return self.word

    async def connect(self, word: str) -> str:
        self.asked.append(word)
        if word not in self.taken:
            raise asyncpg.InvalidPasswordError("no")
        return word

    async def log_in(self) -> object:
        self.asked.clear()
        return await self.password.log_in(self.connect)


async def test_other_password_is_taken_up_and_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "exchange.store")
    lying = Lying()
    lying.word, lying.taken = "second", {"second"}

    assert await lying.log_in() == "second"
    assert lying.password.trouble is None
    assert caplog.text.count("is taken up") == 1
    assert "second" not in caplog.text
    lying.word = UnsafeSettingError("gone")
    assert await lying.log_in() == "second"


async def test_file_before_the_database_and_a_half_written_one_leave_the_former_in_use(
    caplog: pytest.LogCaptureFixture,
) -> None:
    lying = Lying()
    lying.word = "second"

    assert [await lying.log_in(), await lying.log_in()] == ["first", "first"]
    assert lying.asked == ["second", "first"]
    assert "does not take the password that lies there" in (lying.password.trouble or "")
    assert caplog.text.count("does not take") == 1
    assert lying.password.newest() == "second"
    assert lying.password.trouble is not None
    lying.taken = {"second"}
    assert await lying.log_in() == "second"
    assert lying.password.trouble is None


async def test_broken_file_leaves_the_former_in_use(caplog: pytest.LogCaptureFixture) -> None:
    lying = Lying()
    lying.word = UnsafeSettingError("secret `p` can be read by others on this host")

    assert [await lying.log_in(), await lying.log_in()] == ["first", "first"]
    assert caplog.text.count("can be read by others") == 1
    assert "can be read by others" in (lying.password.trouble or "")
    lying.word = "second"
    lying.password.newest()
    assert lying.password.trouble is None


async def test_password_that_is_void_in_either_form_is_refused_and_the_next_one_taken() -> None:
    lying = Lying()
    lying.taken = {"third"}
    with pytest.raises(asyncpg.InvalidPasswordError):
        await lying.log_in()
    lying.word = "second"
    with pytest.raises(asyncpg.InvalidPasswordError):
        await lying.log_in()
    lying.word = "third"

    assert await lying.log_in() == "third"


async def test_password_that_no_connection_was_opened_with_is_known_where_it_was_looked_at() -> None:
    """Connections stay open for months: the file is exchanged, and again before the database is told."""
    lying = Lying()
    lying.word, lying.taken = "second", {"second"}
    lying.password.newest()
    lying.word = "third"

    assert await lying.log_in() == "second"
    assert lying.asked == ["third", "second"]
    assert "does not take" in (lying.password.trouble or "")
    lying.taken = {"third"}
    assert await lying.log_in() == "third"
    assert lying.password.trouble is None


def test_file_that_cannot_be_read_refuses_the_start() -> None:
    def read() -> str:
        raise UnsafeSettingError("missing")

    with pytest.raises(UnsafeSettingError):
        Password(read)


LOGIN = "renewed_login"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A database whose login has to show its password, at an address that has a wrong one."""
    with private_cluster(fsync=False) as url:
        plain = url.replace("+asyncpg", "")
        asyncio.run(migrate(url))
        ((path,),) = fetch(plain, "SHOW hba_file")
        rules = Path(path)
        rules.write_text(f"local all {LOGIN} scram-sha-256\nhost all {LOGIN} all scram-sha-256\n{rules.read_text()}")
        execute(plain, "SELECT pg_reload_conf()")
        yield url


def of_login(url: str) -> str:
    return make_url(url).set(username=LOGIN, password="wrong").render_as_string(hide_password=False)


async def give(url: str) -> str:
    """Give the login another password, and end what it has open; return the password."""
    word = secrets.token_hex(32)
    await set_login(url, LOGIN, SERVICE, word.encode())
    execute(
        url.replace("+asyncpg", ""),
        f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = '{LOGIN}'",
    )
    return word


async def used(store: Store) -> None:
    """Use each kind of connection that a process has: readers, both lanes, and administrative sessions."""

    async def append() -> None:
        await store.append(draft())

    async def administer() -> None:
        async with store.unit_of_work() as unit:
            await unit.hold_policy_digest()

    for use in (store.ping, append, administer):
        try:
            await use()
        except UnavailableError:
            await use()  # the first one met what `give` had cut


async def test_every_connection_of_a_process_logs_in_with_what_lies_there(url: str) -> None:
    lying = Lying()
    lying.word = await give(url)
    password = Password(lying.read)
    store = await open_store(of_login(url), password=password)
    tree = await opened_database(of_login(url), wait_seconds=5.0, password=password)
    try:
        for _ in range(2):
            await used(store)
            lying.word = await give(url)
            await used(store)
        assert password.trouble is None
        # The file comes before the database.
        lying.word, before = secrets.token_hex(32), lying.word
        execute(
            url.replace("+asyncpg", ""),
            f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = '{LOGIN}'",
        )
        await used(store)
        assert "takes the one before still" in (password.trouble or "")
        assert before not in (password.trouble or "")
    finally:
        await tree.close()
        await store.close()
