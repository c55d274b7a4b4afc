"""What is to be confirmed after a restore, where somebody altered it in the database: it is seen to all the same."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime

from exchange.store.books.restore_claims import confirm_claim, open_claims

NOW = datetime(2026, 6, 1, tzinfo=UTC)
IDS = ("'a'", "x'ff'", "CAST(x'62ff' AS TEXT)")


async def test_claim_that_is_no_text_is_shown_and_confirmed_as_any(migrated_file, tmp_path) -> None:
    file = tmp_path / "exchange.db"
    file.write_bytes(migrated_file.read_bytes())
    with closing(sqlite3.connect(file)) as database, database:
        for each in IDS:
            database.execute(
                f"INSERT INTO restore_claim (id, kind, subject, told) VALUES ({each}, 'k', {each}, {each})"
            )
    url = f"sqlite+aiosqlite:///{file}"
    claims = await open_claims(url)

    assert sorted(claim.told for claim in claims) == ["\\xff", "a", "b\\xff"]
    assert json.dumps([claim.id for claim in claims])
    for left, claim in enumerate(reversed(claims)):
        assert await confirm_claim(url, claim.id, clock=lambda: NOW)
        assert len(await open_claims(url)) == len(claims) - left - 1
        assert not await confirm_claim(url, claim.id, clock=lambda: NOW)
