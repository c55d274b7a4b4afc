"""A verb brings along what it needs and no more; what `--help` says without its modules is what they say."""

import gc
import json
import shutil
import subprocess
import sys
from importlib import import_module

import pytest
from typer.core import TyperGroup
from typer.main import get_group

from exchange.cli.program import VERBS, app, nothing_collected

DATABASE = {"sqlalchemy", "sqlmodel", "aiosqlite", "asyncpg"}
WEB = {"fastapi", "starlette", "uvicorn", "uvloop"}
ROOMS = {"exchange.usecases", "exchange.store", "exchange.custody", "exchange.release", "exchange.app"}
CLIENT = {"httpx2"}  # pydantic is loaded by Typer itself once it reads an option

NOWHERE = ("--url", "https://localhost:1", "--cert", "absent.pem", "--key", "absent.key", "--ca", "absent.pem")
LABELLED = ("--agreement", "A", "--scope", "S", "--kind", "intrep", "--topic", "cyber", "--region", "EUR",
            "--marking", "NATO SECRET")  # fmt: skip

MEMBER_S = (
    (["report", "post", __file__, *LABELLED, *NOWHERE], 1),
    (["report", "pull", "x", *NOWHERE], 1),
    (["report", "list", *NOWHERE], 1),
    (["report", "explain", "x", *NOWHERE], 1),
    (["report", "receipt", "x", *NOWHERE], 1),
    (["agreement", "sign", "x", *NOWHERE], 1),
    (["agreement", "list", *NOWHERE], 1),
    (["profile", "list"], 0),
)
OPERATOR_S = (["status"], ["member", "list"], ["doctor"], ["agreement", "list"], ["client", "list"])

STARTED = """
import json, sys
from exchange.cli import run
ended = []
for words in json.loads(sys.argv[1]):
    code = run(words)
    ended.append([code, sorted(sys.modules)])
sys.stdout.flush()
print("\\n" + json.dumps(ended))
"""


def started(folder, *commands):
    """Run commands in one process of their own; returns the exit code of each and all that was imported by its end.

    What one of them brings along stays: it is seen where it first comes, and a process for each would take a second.
    """
    ran = subprocess.run(
        [sys.executable, "-c", STARTED, json.dumps([[str(word) for word in words] for words in commands])],
        capture_output=True, text=True, timeout=60, check=True, cwd=folder,
    )  # fmt: skip
    return [(code, set(modules)) for code, modules in json.loads(ran.stdout.splitlines()[-1])]


@pytest.fixture(scope="module")
def member_s(tmp_path_factory):
    return started(tmp_path_factory.mktemp("member"), *[words for words, _ in MEMBER_S])


@pytest.fixture(scope="module")
def operator_s(pristine, tmp_path_factory):
    folder = tmp_path_factory.mktemp("operator")
    instance = shutil.copytree(pristine, folder / "instance")
    return started(folder, *[[*words, "--dir", instance] for words in OPERATOR_S])


@pytest.mark.parametrize("words", [["--help"], ["frob"], []])
def test_program_itself_imports_no_verb(tmp_path, words):
    ((_code, modules),) = started(tmp_path, words)

    assert modules & (DATABASE | WEB | ROOMS | CLIENT | {"alembic", "cryptography"}) == set()
    assert modules.isdisjoint(f"exchange.cli.{verb.module}" for verb in VERBS.values())


@pytest.mark.parametrize("number", range(len(MEMBER_S)), ids=[" ".join(words[:2]) for words, _ in MEMBER_S])
def test_member_s_verb_imports_no_part_of_the_server(member_s, number):
    ended, modules = member_s[number]

    assert ended == MEMBER_S[number][1]
    assert "exchange.client" in modules
    assert modules & (DATABASE | WEB | ROOMS | {"alembic", "exchange.settings"}) == set()


@pytest.mark.parametrize("number", range(len(OPERATOR_S)), ids=[" ".join(words) for words in OPERATOR_S])
def test_operator_s_verb_imports_no_web_framework(operator_s, number):
    code, modules = operator_s[number]

    assert code == 0
    assert "exchange.store" in modules
    assert modules & (WEB | {"alembic", "exchange.app"}) == set()


def test_garbage_is_collected_again_after_an_import():
    with nothing_collected():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_who_collects_no_garbage_goes_on_collecting_none():
    gc.disable()
    try:
        with nothing_collected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_help_says_what_the_verbs_say(monkeypatch):
    for verb in VERBS.values():
        import_module(f"exchange.cli.{verb.module}")
    # A plain group holds what the modules registered, and nothing out of the table.
    monkeypatch.setattr(app.info, "cls", TyperGroup)
    registered = get_group(app).commands

    assert {name: verb.get_short_help_str(1000) for name, verb in registered.items()} == {
        name: verb.told for name, verb in VERBS.items()
    }


WITHOUT = """
import importlib.abc, runpy, sys

class Refusing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == missing:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)

missing = sys.argv.pop(1)
sys.meta_path.insert(0, Refusing())
runpy.run_module("exchange.cli", run_name="__main__")
"""


@pytest.mark.parametrize("missing", ["typer", "pydantic_settings"])
def test_program_without_what_it_needs_says_so_and_shows_no_traceback(tmp_path, missing):
    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT, missing, "status", "--dir", str(tmp_path)],
        capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path,
    )  # fmt: skip

    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith(f"error: `{missing}` is not installed")
    assert ran.stderr.count("\n") == 1
