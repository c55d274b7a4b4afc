"""The house stands as drawn: every room, its floors, no file too long, nothing of this workplace in a tracked file."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = [
    "cli",
    "entrypoints",
    "entrypoints/api",
    "entrypoints/taxii",
    "entrypoints/console",
    "entrypoints/jobs",
    "entrypoints/http",
    "client",
    "usecases",
    "wire",
    "store",
    "custody",
    "release",
    "reports",
    "agreements",
    "members",
    "markings",
    "audit",
    "crypto",
    "kernel",
]
TOP = "exchange policies migrations tests benchmarks docs docker-compose.yml Dockerfile pyproject.toml README.md Makefile CHANGELOG.md LICENSE .ci/run"
MAX_LINES = 600
# Written so that this file does not match itself.
WORKPLACE = re.compile(
    r"[/]work/(main|shared)|[/]tmp/(brief|try)|file:///[o]pt/|//[a-z0-9.-]*(pypi|pythonhosted|jfrog|nexus)[a-z0-9.-]*/"
)


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_import_contracts_hold() -> None:
    program = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([str(program), "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("room", ROOMS)
def test_room_stands_and_says_what_it_promises(room: str) -> None:
    door = ROOT / "exchange" / room / "__init__.py"

    assert door.is_file()
    assert door.read_text("utf-8").startswith('"""')


@pytest.mark.parametrize("name", TOP.split())
def test_top_level_has(name: str) -> None:
    assert (ROOT / name).exists()


def test_roof_and_settings_stand() -> None:
    assert (ROOT / "exchange" / "app.py").is_file()
    assert (ROOT / "exchange" / "settings.py").is_file()


def test_no_file_is_too_long() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines())
        for path in tracked()
        if path.suffix == ".py" and "migrations" not in path.parts
    }

    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}


def test_tests_of_the_core_rooms_patch_modules_alone() -> None:
    """A function that `make mutate` has made mutants of has other globals than its module: the whole run would end."""
    files = [path for path in tracked() if path.is_relative_to(ROOT / "tests" / "core")]

    assert [path.name for path in files if b".__globals__" in path.read_bytes()] == []


def test_no_tracked_file_names_a_workplace_or_an_index() -> None:
    found = {}
    for path in tracked():
        text = path.read_bytes().decode("utf-8", errors="replace")
        if match := WORKPLACE.search(text):
            found[str(path.relative_to(ROOT))] = match.group()

    assert found == {}


def test_no_private_key_is_tracked() -> None:
    # A test vector that needs a key makes it when it runs.
    marker = "-----BEGIN " + "PRIVATE KEY-----"

    assert [path for path in tracked() if marker.encode() in path.read_bytes()] == []


def test_build_machine_runs_the_tests() -> None:
    script = ROOT / ".ci" / "run"

    assert script.stat().st_mode & 0o111
    assert "make test" in script.read_text("utf-8")


def test_python_that_was_built_optimised_is_taken_before_one_that_was_not(tmp_path: Path) -> None:
    """Everything takes an eighth longer with one that was not, as with pyenv's, which comes first on many a path."""
    for name, answers in (("python3.11", '[ "$3" != optimised ]'), ("python3", "true")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{answers}\n", "utf-8")
        (tmp_path / name).chmod(0o755)
    said = f"include {ROOT / 'Makefile'}\nsaid:\n\t@echo '$(PYTHON)'\n"

    done = subprocess.run(
        ["make", "-s", "-f", "-", "said"],
        input=said,
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout == f"{tmp_path / 'python3'}\n", done.stderr


def test_settings_of_the_composed_service_are_kept_for_every_later_command(tmp_path: Path) -> None:
    """A bare `docker compose up` gave the edge another user and port than `make up` had, and it answered no more."""
    (tmp_path / "exchange").mkdir()
    for name in ("Makefile", "exchange/__init__.py"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())

    for given in (("CONTAINER_UID=4711", "EXCHANGE_PORT=9444", "EXCHANGE_HOST_NAMES=a.example b.example"), ()):
        words, bare = ["make", "secrets", *given], {"PATH": os.environ["PATH"]}
        done = subprocess.run(words, cwd=tmp_path, env=bare, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    assert sorted((tmp_path / ".env").read_text("utf-8").splitlines()) == [
        'EXCHANGE_HOST_NAMES="a.example b.example"',
        'EXCHANGE_PORT="9444"',
        'EXCHANGE_UID="4711"',
    ]


def test_rows_named_by_hand_keep_their_names(request: pytest.FixtureRequest) -> None:
    """pytest escapes what `ids` gives anew whenever a process collects: mutmut, which does so thrice, finds it no more.

    Looks at the tests of the core in the run that this is part of.
    """
    core = (item for item in request.session.items if item.nodeid.startswith("tests/core/"))
    named = (item for item in core if any("ids" in row.kwargs for row in item.iter_markers("parametrize")))

    assert [item.nodeid for item in named if "\\" in item.name] == []
