"""A verb brings along what it needs and no more; what `--help` says without its modules is what they say."""

import json
import subprocess
import sys
from importlib import import_module

import pytest
from typer.core import TyperGroup
from typer.main import get_group

from exchange.cli.program import VERBS, app

DATABASE = {"sqlalchemy", "sqlmodel", "aiosqlite", "asyncpg"}
WEB = {"fastapi", "starlette", "uvicorn", "uvloop"}
ROOMS = {"exchange.usecases", "exchange.store", "exchange.custody", "exchange.release", "exchange.app"}
CLIENT = {"httpx2"}  # pydantic is loaded by Typer itself once it reads an option

NOWHERE = ("--url", "https://localhost:1", "--cert", "absent.pem", "--key", "absent.key", "--ca", "absent.pem")
LABELLED = ("--agreement", "A", "--scope", "S", "--kind", "intrep", "--topic", "cyber", "--region", "EUR",
            "--marking", "NATO SECRET")  # fmt: skip

STARTED = """
import json, sys
from exchange.cli import run
code = run(sys.argv[1:])
sys.stdout.flush()
print("\\n" + json.dumps([code, sorted(sys.modules)]))
"""


def started(folder, *words):
    """Run one command in a process of its own; returns its exit code and every module that it imported."""
    ran = subprocess.run(
        [sys.executable, "-c", STARTED, *map(str, words)],
        capture_output=True, text=True, timeout=60, check=True, cwd=folder,
    )  # fmt: skip
    code, modules = json.loads(ran.stdout.splitlines()[-1])
    return code, set(modules)


@pytest.mark.parametrize("words", [["--help"], ["frob"], []])
def test_program_itself_imports_no_verb(tmp_path, words):
    _code, modules = started(tmp_path, *words)

    assert modules & (DATABASE | WEB | ROOMS | CLIENT | {"alembic", "cryptography"}) == set()
    assert modules.isdisjoint(f"exchange.cli.{verb.module}" for verb in VERBS.values())


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["report", "post", __file__, *LABELLED, *NOWHERE], 1),
        (["report", "pull", "x", *NOWHERE], 1),
        (["report", "list", *NOWHERE], 1),
        (["report", "explain", "x", *NOWHERE], 1),
        (["report", "receipt", "x", *NOWHERE], 1),
        (["agreement", "sign", "x", *NOWHERE], 1),
        (["agreement", "list", *NOWHERE], 1),
        (["profile", "list"], 0),
    ],
)
def test_member_s_verb_imports_no_part_of_the_server(tmp_path, words, code):
    ended, modules = started(tmp_path, *words)

    assert ended == code
    assert "exchange.client" in modules
    assert modules & (DATABASE | WEB | ROOMS | {"alembic", "exchange.settings"}) == set()


@pytest.mark.parametrize(
    "words", [["status"], ["member", "list"], ["doctor"], ["agreement", "list"], ["client", "list"]]
)
def test_operator_s_verb_imports_no_web_framework(instance, tmp_path, words):
    code, modules = started(tmp_path, *words, "--dir", instance)

    assert code == 0
    assert "exchange.store" in modules
    assert modules & (WEB | {"alembic", "exchange.app"}) == set()


def test_help_says_what_the_verbs_say(monkeypatch):
    for verb in VERBS.values():
        import_module(f"exchange.cli.{verb.module}")
    # A plain group holds what the modules registered, and nothing out of the table.
    monkeypatch.setattr(app.info, "cls", TyperGroup)
    registered = get_group(app).commands

    assert {name: verb.get_short_help_str(1000) for name, verb in registered.items()} == {
        name: verb.told for name, verb in VERBS.items()
    }
