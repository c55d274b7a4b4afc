"""What the database lets a running service of the composed project do, asked with the service's own login."""

import json

from tests.compose.project import ComposeError, Project

FORBIDDEN = (
    "UPDATE audit_entry SET content = content",
    "DELETE FROM audit_entry",
    "TRUNCATE audit_entry",
    "ALTER TABLE audit_entry DISABLE TRIGGER ALL",
    "DROP TABLE audit_entry",
    "DELETE FROM report",
    "DELETE FROM client_certificate",
    "UPDATE log_leaf SET position = position",
    "DELETE FROM log_checkpoint",
    "SET ROLE exchange",
    "CREATE ROLE another",
)
_ASK = """
import asyncio, asyncpg, json, os, sys
from pathlib import Path
from exchange.settings import load_settings

async def ask():
    url = load_settings(Path(os.environ["EXCHANGE_DIR"])).database_url_with_password()
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    told = {"login": await connection.fetchval("SELECT current_user")}
    told["entries"] = await connection.fetchval("SELECT count(*) FROM audit_entry")
    for statement in json.loads(sys.argv[1]):
        try:
            await connection.execute(statement)
            told[statement] = "done"
        except asyncpg.PostgresError as error:
            told[statement] = error.sqlstate
    print(json.dumps(told))

asyncio.run(ask())
"""
_NOT_ALLOWED = "42501"


def require_bound(project: Project, service: str) -> None:
    """Raise ComposeError unless a service reads the log and the database refuses it everything that is forbidden."""
    answer = project.compose("exec", "-T", service, "python", "-c", _ASK, json.dumps(FORBIDDEN))
    told = json.loads(answer)
    if told.pop("login") != "exchange_app" or not told.pop("entries"):
        raise ComposeError(f"`{service}` logs in as somebody else, or sees no entry: {answer.decode()}")
    allowed = {statement: code for statement, code in told.items() if code != _NOT_ALLOWED}
    if allowed:
        raise ComposeError(f"the database does not keep `{service}` from {allowed}")
