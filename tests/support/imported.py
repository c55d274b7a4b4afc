"""Workers of a fresh checkout share the work of reading its tests.

Each worker imports every test, and pytest writes the asserts of each anew before its first import: half of what it takes to
collect. All workers came to each file at the same moment, so that none found what another had written.
"""

import contextlib
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Import a worker's share of the tests first: of the others', what these have written is then there."""
    told: dict[str, str | int] | None = getattr(session.config, "workerinput", None)
    if told is None:
        return
    begun = [(session.config.invocation_params.dir / argument).resolve() for argument in session.config.args]
    for path in share(begun, int(str(told["workerid"]).removeprefix("gw")), int(told["workercount"])):
        # What is wrong with it is told where it is collected.
        with contextlib.suppress(Exception, pytest.skip.Exception):
            importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))


def share(begun: list[Path], number: int, workers: int) -> list[Path]:
    """Return what one of `workers` reads first of the tests in these folders: as much as each other one, by size."""
    found = {path for folder in begun if folder.is_dir() for path in folder.rglob("test_*.py")}
    largest_first = sorted(found, key=lambda path: (-path.stat().st_size, path))
    return largest_first[number::workers]
