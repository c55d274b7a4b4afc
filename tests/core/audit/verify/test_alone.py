"""The verifier is an auditor's own tool: it runs where no server was ever installed."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[4]

ALONE = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"fastapi", "starlette", "uvicorn", "sqlalchemy", "sqlmodel", "alembic", "pydantic",
                                      "pydantic_settings", "httpx2", "typer", "rich", "asyncpg", "aiosqlite", "cedarpy"}:
            raise ModuleNotFoundError(f"{name} is not installed here")

sys.meta_path.insert(0, Absent())
from tests.core.audit.verify.worlds import content, world

log = world(300)
assert log.verify().is_sound
log.contents[7] = content(7, purpose="other")
print(*log.verify().findings, sep="\\n")
"""


def test_verifier_needs_nothing_of_the_server():
    ran = subprocess.run(
        [sys.executable, "-c", ALONE],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    assert "tree: entry 7 (" in ran.stdout
