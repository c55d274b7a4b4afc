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


LOADED = """
import importlib, pkgutil, sys

before = set(sys.modules)
import exchange.audit
for found in pkgutil.walk_packages(exchange.audit.__path__, "exchange.audit."):
    importlib.import_module(found.name)
loaded = set(sys.modules) - before
mine = {".".join(name.split(".")[:2]) for name in loaded if name.partition(".")[0] == "exchange"}
others = {name.partition(".")[0] for name in loaded} - {"exchange", *sys.stdlib_module_names}
print(*sorted(mine), "|", *sorted(name for name in others if not name.startswith("_")))
"""


def run_alone(program):
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_verifier_needs_nothing_of_the_server():
    ran = run_alone(ALONE)

    assert ran.returncode == 0, ran.stderr
    assert "tree: entry 7 (" in ran.stdout


def test_library_brings_two_rooms_and_two_packages_and_nothing_else():
    """A list of what is absent grows old; this one fails for whatever is added."""
    ran = run_alone(LOADED)

    assert ran.returncode == 0, ran.stderr
    mine, _, others = ran.stdout.partition("|")
    assert set(mine.split()) == {"exchange", "exchange.audit", "exchange.crypto", "exchange.kernel"}
    assert set(others.split()) <= {"cryptography", "cffi", "orjson"}
