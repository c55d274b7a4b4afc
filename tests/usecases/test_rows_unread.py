"""Rows that cannot be read: each is told, and keeps no other one from being held against the log."""

from datetime import timedelta
from typing import Any

import pytest

from exchange.store.database.faults import as_exchange_error
from exchange.store.rows.unread import UnreadRowError
from exchange.usecases import ListQuery, list_clients, list_reports, pull_report
from exchange.usecases.steps.recording import TamperedError
from tests.support.world import World
from tests.usecases.test_rows_held import found_in, held, living  # noqa: F401  a fixture

NO_TEXT = "CAST(x'7bff' AS TEXT)"
"""What SQLite keeps where a text belongs, and no driver makes a text of."""

WRITTEN_IN = {
    "no list": ("client", "roles", "'{'", "'{'"),
    "a list of lists": ("client", "compartments", f"'{'[' * 5000}'", f"'{'[' * 5000}'"),
    "no standing": ("client", "standing", NO_TEXT, "'x'"),
    "no version behind it": ("client", "version", "9223372036854775807", "2147483647"),
    "no number": ("client", "version", "'x'", "-1"),
    "no moment": ("client", "cleared_until", "'x'", "9223372036854775807"),
    "no name": ("client", "name", NO_TEXT, None),
    "bytes": ("client", "name", "x'7bff'", None),
    "no standing of a member": ("member", "standing", NO_TEXT, "'x'"),
    "no owner of a key": ("signatory_key", "client_id", NO_TEXT, "'x'"),
    "text for a key": ("signatory_key", "ed25519", "CAST(ed25519 AS TEXT)", "'x'::bytea"),
    "bytes for a party": ("agreement_party", "member", "CAST(member AS BLOB)", None),
    "no certificate": ("client_certificate", "thumbprint", NO_TEXT, "'x'"),
}
"""By table and column, for SQLite and for PostgreSQL: None for what cannot stand there."""

_WHOSE = {
    "client": "name = 'DNK reader'",
    "member": "code = 'DNK'",
    "signatory_key": "member = 'DNK'",
    "agreement_party": "member = 'DNK'",
    "client_certificate": "client_id = (SELECT id FROM client WHERE name = 'DNK reader')",
}


@pytest.mark.parametrize("name", WRITTEN_IN)
async def test_row_that_cannot_be_read_is_told_and_keeps_no_other_from_being_looked_at(
    living: World,  # noqa: F811
    backend: str,
    name: str,
) -> None:
    table, column, *values = WRITTEN_IN[name]
    value = values[backend == "postgresql"]
    living.clock.advance(timedelta(hours=1))
    await list_clients(living.services, living.call(None))
    if value is not None:
        living.unguard(table)
        living.sql(f"UPDATE {table} SET {column} = {value} WHERE {_WHOSE[table]}")
    assert len(await found_in(living)) == (value is not None)
    other = living.clients["NOR reader"].id
    living.sql("UPDATE client SET nationality = 'GBR' WHERE id = $1", other)

    told = {entry["object"]["id"]: entry["detail"]["done"] for entry in await held(living)}
    assert told.pop(other) == "suspended"
    assert len(told) == (value is not None)
    assert await held(living) == []


@pytest.mark.parametrize(
    ("column", "value"),
    [("facet", "'x'"), ("facet", NO_TEXT), ("position", "'x'"), ("reasons", NO_TEXT)],
)
async def test_what_an_entry_is_found_by_cannot_be_read_and_the_others_are_found(
    living: World,  # noqa: F811
    backend: str,
    column: str,
    value: str,
) -> None:
    await held(living)
    living.unguard("audit_search")
    row = "'report.posted'" if backend == "postgresql" else "'client.enrolled' ORDER BY position DESC LIMIT 1"
    written = {"'x'": "'x'" if column == "facet" else "-5", NO_TEXT: "'x'"}[value] if backend == "postgresql" else value
    living.sql(
        f"UPDATE audit_search SET {column} = {written} WHERE position IN (SELECT position FROM audit_search"
        f" WHERE event = {row})"
    )
    other = living.clients["NOR reader"].id
    living.sql("UPDATE client SET nationality = 'GBR' WHERE id = $1", other)

    assert other in {entry["object"]["id"] for entry in await held(living)}


async def test_text_that_cannot_be_read_is_told_to_nobody(living: World, backend: str) -> None:  # noqa: F811
    secret = "CAST(x'73656372657400ff' AS TEXT)" if backend == "sqlite" else "'secret'"
    living.sql(f"UPDATE client SET purposes = {secret} WHERE name = 'NOR reader'")
    async with living.another_node() as node:
        with pytest.raises(Exception) as raised:  # noqa: PT011  of whatever kind, it quotes nothing
            await list_reports(node, living.call("NOR reader"), ListQuery())

    told: Any = as_exchange_error(raised.value)
    assert "secret" not in f"{told.message} {getattr(told, 'told', '')}"


async def test_client_that_is_rewritten_while_it_asks_is_told_as_altered(
    living: World,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    report = await living.post()
    async with living.another_node() as node:
        hot, fetch = node.store._hot, node.store._database.fetch

        async def meanwhile(statement: Any, which: Any) -> Any:
            if statement is hot.client_version:
                living.sql("UPDATE client SET version = 7 WHERE name = 'NOR reader'")
            return await fetch(statement, which)

        monkeypatch.setattr(node.store._database, "fetch", meanwhile)
        with pytest.raises(UnreadRowError) as raised:
            await pull_report(node, living.call("NOR reader"), report)

    assert raised.value.place == f"client {living.clients['NOR reader'].id}"


async def test_client_that_is_altered_between_a_report_and_what_it_names_is_shown_nothing(
    living: World,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    report = await living.post(references=(await living.post(),))
    living.unguard("client")
    async with living.another_node() as node:
        opens = node.custodian.open_headers

        async def meanwhile(sealed: Any) -> Any:
            opened = await opens(sealed)
            living.sql("UPDATE client SET roles = '{', version = version + 1 WHERE name = 'NOR reader'")
            return opened

        monkeypatch.setattr(node.custodian, "open_headers", meanwhile)
        made = await living.attempt(pull_report(node, living.call("NOR reader"), report))

    assert isinstance(made.error, TamperedError)
    assert (made.entry["type"], made.entry["detail"]) == ("key.opened", {"place": f"report {report}"})
