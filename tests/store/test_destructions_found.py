"""What a member is still to destroy is found without a look at what everybody else is."""

from sqlalchemy.dialects import postgresql, sqlite

from exchange.store import Store
from exchange.store.books import report_book
from tests.support.store import rows_of

ROWS = """
INSERT INTO report_destruction (report_id, client_id, member, agency, read_at, read_entry, asked_at, due_at)
WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 20000)
SELECT 'report-' || n, 'client-' || (n % 1000), 'DNK', 'A', 1, 'entry', 1, 2 FROM n
"""


async def test_destruction_whose_row_names_another_member_costs_no_look_at_those_of_others(
    store: Store, backend: str
) -> None:
    """Without statistics too."""
    is_sqlite = backend == "sqlite"
    if not is_sqlite:
        await rows_of(store, "ALTER TABLE report_destruction DROP CONSTRAINT report_destruction_report_id_fkey")
        await rows_of(store, ROWS)
    _, elsewhere = report_book._asked_of(None, "NOR")
    dialect = sqlite.dialect() if is_sqlite else postgresql.dialect()
    sql = report_book._DESTRUCTIONS.where(*elsewhere).compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    plan = [str(row) for row in await rows_of(store, f"{'EXPLAIN QUERY PLAN' if is_sqlite else 'EXPLAIN'} {sql}")]

    assert any("report_destruction_client" in line for line in plan), plan
