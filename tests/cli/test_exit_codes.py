"""0 done, 1 refused or failed, 2 wrong usage; errors are lines on stderr."""

import ctypes
import errno
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from exchange import __version__
from exchange.cli import output, program
from exchange.cli.program import app, run
from exchange.client import ProblemError
from exchange.kernel import Fault, InvalidError
from tests.support.prepared import PROGRAM, PreparedProcess

# As prctl(2) and capabilities(7) number them.
_DROP_FROM_BOUNDING_SET = 24
_MAY_RAISE_LIMITS = 24


@pytest.mark.parametrize(
    "words",
    [
        ["frob"],
        ["init", "--frob"],
        ["member", "add"],
        ["member", "add", "GBR"],
        ["serve", "--port", "x"],
        ["serve", "--port", "70000"],
        ["serve", "--workers", "0"],
        ["report", "post"],
        ["report", "pull"],
        ["client", "enrol", "x"],
        ["agreement", "sign"],
        ["policy", "explain", "x"],
    ],
)
def test_wrong_usage_is_2_and_on_stderr(exchange, words):
    ran = exchange(*words)

    assert ran.code == 2
    assert ran.out == ""
    assert "Error: " in ran.err


@pytest.mark.parametrize(
    "words",
    [
        ["init", "--dir", ""],
        ["init", "--dir="],
        ["demo", "--input", "a.txt", "--input", ""],
        ["agreement", "key", ""],
        ["report", "post", "a.txt", "", "--agreement", "a", "--scope", "s", "--kind", "k", "--topic", "t", "--region",
         "r", "--marking", "m"],
        ["audit", "export", "--format", "csv", "--out", ""],
    ],
)  # fmt: skip
def test_empty_path_is_not_the_folder_one_stands_in(exchange, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    ran = exchange(*words)

    assert ran.code == 2
    assert "the path is empty: give it, `.` for the folder you are in" in ran.err
    assert list(tmp_path.iterdir()) == []


def test_point_is_the_folder_one_stands_in(exchange, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert exchange("init", "--dir", ".").code == 0
    assert (tmp_path / "exchange.toml").is_file()


@pytest.mark.parametrize(
    "words",
    [
        ["status"],
        ["member", "list"],
        ["client", "list"],
        ["report", "list"],
        ["agreement", "list"],
        ["agreement", "sign", "x"],
        ["report", "pull", "x"],
    ],
)
def test_nowhere_to_act_is_2_and_names_the_options(exchange, words):
    ran = exchange(*words)

    assert ran.code == 2
    assert ran.out == ""
    assert "--dir" in ran.err or "--url" in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("verb", ["status", "migrate", "serve"])
def test_folder_that_is_no_instance_names_the_mend(exchange, tmp_path, verb):
    ran = exchange(verb, "--dir", tmp_path)

    assert ran.code == 1
    assert f"exchange init --dir {tmp_path}" in ran.err


@pytest.mark.parametrize("words", [["--help"], ["report", "post", "--help"], ["demo", "--help"]])
def test_help_is_0(exchange, words):
    assert exchange(*words).code == 0


def test_version_is_told(exchange):
    ran = exchange("--version")

    assert (ran.code, ran.out) == (0, f"exchange {__version__}\n")


def test_help_names_every_verb_of_the_contract(exchange):
    shown = exchange("--help").out

    for verb in [
        "demo",
        "init",
        "serve",
        "migrate",
        "status",
        "doctor",
        "member",
        "client",
        "ca",
        "agreement",
        "report",
        "policy",
    ]:
        assert f"\n  {verb} " in shown


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (RuntimeError("boom"), "unexpected: RuntimeError: boom (set EXCHANGE_TRACEBACK=1 to see where)"),
        (
            MemoryError(),
            "this process has no memory left: let it have more (`ulimit -v`, `MemoryMax=` of systemd), or try again",
        ),
    ],
)
def test_unexpected_failure_is_a_sentence(exchange, monkeypatch, fault, told):
    def explode(*_args, **_named):
        raise fault

    monkeypatch.setattr(program, "_program", lambda: explode)

    ran = exchange("status")

    assert (ran.code, ran.err) == (1, f"error: {told}\n")


def test_traceback_comes_only_where_asked_for(monkeypatch):
    def explode(*_args, **_named):
        raise RuntimeError("boom")

    monkeypatch.setattr(program, "_program", lambda: explode)
    monkeypatch.setenv("EXCHANGE_TRACEBACK", "1")

    with pytest.raises(RuntimeError, match="boom"):
        run(["status"])


def test_interruption_while_a_verb_is_read_is_1(exchange, monkeypatch):
    # From inside the library, which has an exit code of its own for it.
    def interrupt(*_args, **_named):
        raise KeyboardInterrupt

    monkeypatch.setattr(program, "import_module", interrupt)
    monkeypatch.setattr(program, "_program", lambda: get_command(app))  # no verb of it was read yet
    ran = exchange("status")

    assert (ran.code, ran.err) == (1, "error: interrupted\n")


def test_interruption_while_the_program_is_read_is_1():
    # In the place of one of the modules that it begins with.
    script = (
        "import sys, types\n"
        "class Interrupted:\n"
        "    def find_spec(self, name, *_given):\n"
        "        if name == 'typer': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupted())\n"
        "import exchange.cli\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)

    assert (ran.returncode, ran.stderr) == (1, "error: interrupted\n")


def test_interruption_is_1(exchange, monkeypatch):
    def interrupt(*_args, **_named):
        raise KeyboardInterrupt

    monkeypatch.setattr(program, "_program", lambda: interrupt)

    assert exchange("status").code == 1


def test_both_places_at_once_are_refused(exchange, instance):
    ran = exchange("agreement", "list", "--dir", instance, "--url", "https://localhost:1")

    assert ran.code == 2
    assert "give one of the two" in ran.err


def test_program_runs_as_a_module():
    ran = subprocess.run(
        [sys.executable, "-m", "exchange.cli", "frob"], capture_output=True, text=True, timeout=60, check=False
    )

    assert ran.returncode == 2
    assert "No such command" in ran.stderr


def test_output_into_a_closed_pipe_is_no_traceback(instance):
    command = f"{sys.executable} -m exchange.cli policy check --json --dir {instance} | true"
    ran = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)

    assert "Traceback" not in ran.stderr
    assert "Exception" not in ran.stderr


@pytest.mark.parametrize("words", ["policy check --json", "frob --json", "--help"])
def test_output_that_the_disk_has_no_room_for_is_told_in_a_line(words):
    usual = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    # Unbuffered it fails where it is printed, else where it is flushed.
    for told in ({}, {"PYTHONUNBUFFERED": "1"}):
        with (
            Path("/dev/full").open("wb") as full,
            PreparedProcess[str](
                [*PROGRAM, *words.split()], stdout=full, stderr=subprocess.PIPE, text=True, env={**usual, **told}
            ) as ran,
        ):
            _, stderr = ran.communicate(timeout=60)

        assert ran.returncode == 1
        assert stderr.splitlines()[-1] == "error: no space left on device: make room on the disk, and try again"
        assert "Traceback" not in stderr


def test_nothing_is_begun_where_stdout_is_closed(exchange, instance):
    command = f"{sys.executable} -m exchange.cli member add DNK --name Denmark --dir {instance} >&-"
    ran = subprocess.run(["bash", "-c", command], stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    members = exchange("member", "list", "--dir", instance)

    assert ran.returncode == 1
    assert ran.stderr == "error: stdout is closed: where nothing is to be told, send it to /dev/null (`>/dev/null`)\n"
    assert (members.code, "DNK" in members.out) == (0, False), members.err
    assert "GBR" in members.out


def test_closed_stdin_and_stderr_are_no_failure_and_no_file_takes_their_number(instance):
    look = "import os, sys; from exchange.cli import program; program.run = lambda words: print(open('/dev/zero').fileno())"
    command = f'{sys.executable} -c "{look}; program.main()" <&- 2>&-'
    ran = subprocess.run(["bash", "-c", command], stdout=subprocess.PIPE, text=True, timeout=60, check=False)

    assert ran.returncode == 0
    assert int(ran.stdout) > 2


def test_process_that_dies_leaves_nothing_of_its_memory_behind():
    look = "import resource as of; from exchange.cli import program; program.run = lambda _: print(*of.getrlimit(of.RLIMIT_CORE))"
    command = [sys.executable, "-c", f"{look}; program.main()"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)

    # Root keys are in it, and reports in the clear. With 0 a program that the kernel hands it to is handed it still.
    assert ran.stdout == ("0 0\n" if resource.getrlimit(resource.RLIMIT_CORE)[1] == 0 else "1 1\n")


def test_host_that_allows_no_core_is_no_reason_not_to_run():
    """As hardened hosts do: every command ended in a fault where nobody may raise what the host allows."""

    def as_a_hardened_host():
        ctypes.CDLL(None).prctl(_DROP_FROM_BOUNDING_SET, _MAY_RAISE_LIMITS)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    look = "from exchange.cli import program; program.run = lambda _: print('ran')"
    command = [sys.executable, "-c", f"{look}; program.main()"]
    ran = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, preexec_fn=as_a_hardened_host
    )

    assert (ran.returncode, ran.stdout) == (0, "ran\n"), ran.stderr


def test_letter_that_a_terminal_has_not_takes_nothing_else_away():
    """A member was added and the command failed; a list with one such subject in it could not be shown at all."""
    said = "from exchange.cli import output, program; program.run = lambda _: output.show_line('за \\x1b NOR') or 0"
    command = [sys.executable, "-c", f"{said}; program.main()"]
    ran = subprocess.run(
        command, capture_output=True, timeout=60, check=False, env={**os.environ, "PYTHONIOENCODING": "latin-1"}
    )

    assert (ran.returncode, ran.stdout) == (0, rb"\u0437\u0430 \ufffd NOR" + b"\n"), ran.stderr


def test_every_verb_that_prints_takes_json():
    from importlib import import_module

    for verb in program.VERBS.values():
        import_module(f"exchange.cli.{verb.module}")

    def verbs(command, path=()):
        for name, verb in getattr(command, "commands", {}).items():
            yield from verbs(verb, (*path, name))
        if not getattr(command, "commands", {}):
            yield path, {option for parameter in command.params for option in parameter.opts}

    without = {path for path, options in verbs(get_command(app)) if "--json" not in options}

    assert without == {("serve",), ("audit", "sequence"), ("audit", "feed")}


AGREEMENT = "01980000-0000-7000-8000-000000000001"
POST = ("report", "post", __file__, "--agreement", AGREEMENT, "--scope", "s", "--kind", "k", "--topic", "t",
        "--region", "r", "--marking", "NATO SECRET")  # fmt: skip


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["act", "confirm", "x", "--digest", "abc"], "/digest: is no digest: copy it whole, 64 digits from 0 to f"),
        (["agreement", "crisis", "end", "x", "abc"], "/crisis: is no id: copy it whole, such as 01a2"),
        (["audit", "registry", "--client", "abc"], "`abc` is no id: copy it whole"),
        ([*POST[:4], "North Sea", *POST[5:]], "`North Sea` is no id: copy it whole"),
    ],
)
def test_what_fits_no_request_is_told_by_its_field(exchange, enrol, tmp_path, words, told):
    enrol(name="desk")
    files = {"--cert": "client.pem", "--key": "client.key", "--ca": "ca.pem"}
    door = [word for option, file in files.items() for word in (option, tmp_path / "desk" / file)]

    ran = exchange(*words, "--url", "https://localhost:1", *door)

    assert ran.code == 1
    assert told in ran.err
    assert "pydantic" not in ran.err
    assert "unexpected" not in ran.err


SIMULATE = ("policy", "simulate", "--agreement", "a", "--scope", "s", "--kind", "k", "--topic", "t", "--region", "r",
            "--marking", "NATO SECRET")  # fmt: skip


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["audit", "search", "--follow", "--until", "2026-01-01"], "give `--follow`, or `--until`"),
        (["audit", "search", "--follow", "--limit", "5"], "give `--follow`, or `--until`"),
        (["audit", "search", "--since", "2026-13-01"], "is no date"),
        (["audit", "registry"], "one of the two"),
        (["audit", "export", "--format", "csv", "--json"], "name it with `--out`"),
        (["audit", "check-receipts"], "whose log is it?"),
        (["report", "list", "--follow", "--limit", "5"], "give one of `--follow` and `--limit`"),
        (["audit", "export", "--after", "7", "--out", "x"], "write `LOG.POSITION`"),
        (["report", "recall", "x"], "say why it is recalled"),
        ([*POST, "--valid-until", "2030-01-01T12:00"], "has no offset"),
        ([*POST, "--part-marking", "b.txt=NATO SECRET"], "write FILE=TEXT"),
        ([*SIMULATE, "--originator", "GBR"], "leave `--originator` out"),
        (["agreement", "sign", "x"], "which key?"),
        (["policy", "check", "--examples", "x"], "`--examples` goes with `--caveats`"),
        (["policy", "check", "--caveats", "x", "--policies", "y"], "give one of the two"),
        (["audit", "feed", "--to", "https://a", "--to-ca", "x", "--state", "y"], "write syslog+tls://HOST:PORT"),
    ],
)
def test_options_that_are_wrong_themselves_are_2(exchange, enrol, tmp_path, words, told):
    """A program that tells a refusal from a command that nothing will make right took them for refusals."""
    enrol(name="desk")
    files = {"--cert": "client.pem", "--key": "client.key", "--ca": "ca.pem"}
    door = [word for option, file in files.items() for word in (option, tmp_path / "desk" / file)]

    ran = exchange(*words, "--url", "https://localhost:1", *door)

    assert ran.code == 2
    assert told in ran.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (SIMULATE, "give `--originator CODE`"),
        (("serve", "--port", "0", "--ops", "9000"), "write HOST:PORT"),
        (("audit", "archive", "--older-than", "999999999999"), "less than or equal to 73200"),
        (("serve", "--port", "0", "--ops", "localhost:" + "9" * 5000), "write HOST:PORT"),
        (("audit", "export", "--format", "csv", "--out", "x"), "an auditor chooses, over HTTPS"),
    ],
)
def test_operator_s_options_that_are_wrong_themselves_are_2(operate, tmp_path, monkeypatch, words, told):
    monkeypatch.chdir(tmp_path)
    there = set(tmp_path.iterdir())

    ran = operate(*words)

    assert ran.code == 2
    assert told in ran.err
    assert set(tmp_path.iterdir()) == there


@pytest.mark.parametrize(
    "words", [["report", "list", "--topic", "\udce9"], ["agreement", "consult", "x", "--text", "\udce9"]]
)
def test_what_is_no_utf_8_is_told_in_words(exchange, enrol, tmp_path, words):
    enrol(name="desk")
    files = {"--cert": "client.pem", "--key": "client.key", "--ca": "ca.pem"}
    door = [word for option, file in files.items() for word in (option, tmp_path / "desk" / file)]

    ran = exchange(*words, "--url", "https://localhost:1", *door)

    assert ran.code == 1
    assert "unexpected" not in ran.err
    assert "is not text in UTF-8" in ran.err


def test_text_on_stdin_that_is_no_utf_8_is_told_in_words(enrol, tmp_path):
    enrol(name="desk")
    files = {"--cert": "client.pem", "--key": "client.key", "--ca": "ca.pem"}
    door = [word for option, file in files.items() for word in (option, tmp_path / "desk" / file)]
    words = (
        "request", "ask", "-", "--agreement", AGREEMENT, "--scope", "s", "--kind", "intrep", "--topic", "cyber",
        "--region", "EUR", "--marking", "NATO SECRET", "--deadline", "2030-12-31", "--url", "https://localhost:1",
    )  # fmt: skip
    command = [sys.executable, "-m", "exchange.cli", *words, *door]

    ran = subprocess.run(command, input=b"wh\xe9re?", capture_output=True, timeout=60, check=False)

    assert (ran.returncode, ran.stderr) == (1, b"error: `/dev/stdin` is not UTF-8 text: byte 2 is wrong\n")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "b"), "error: `b`: no space left on device: make room"),
        (OSError(errno.EIO, "Input/output error"), "error: input/output error\n"),
    ],
)
def test_what_the_system_refuses_is_told_in_its_words(exchange, monkeypatch, error, told):
    def fail(**_given):
        raise error

    monkeypatch.setattr(program, "_program", lambda: fail)
    ran = exchange("status")

    assert ran.code == 1
    assert ran.err.startswith(told)


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["member", "list", "--json"], 2, {"code": "usage", "detail": "which instance? give `--dir DIR` or set EXCHANGE_DIR"}),
        (["report", "pull", "--json"], 2, {"code": "usage", "detail": "Missing argument 'ID'."}),
        (["frob", "--json"], 2, {"code": "usage", "detail": "No such command 'frob'."}),
        (["report", "list", "--json", "--profile", "none"], 1,
         {"code": "invalid", "detail": "there is no profile `none`: saved are none; add one with `exchange profile add`"}),
    ],
)  # fmt: skip
def test_failure_is_json_where_json_is_asked_for(exchange, words, code, told):
    ran = exchange(*words)

    assert ran.code == code
    assert ran.json == {"error": {"status": None, "request_id": None, "errors": [], **told}}
    assert told["detail"] in ran.err


def test_every_fault_is_in_the_json(operate, tmp_path):
    (tmp_path / "draft.yaml").write_text("title: x\nparties: [GBR]\nfrob: 1\n")

    ran = operate("agreement", "propose", tmp_path / "draft.yaml", "--json")

    assert {
        name: fault[name] for fault in ran.json["error"]["errors"] if fault["code"] == "unknown-field"
        for name in ("pointer", "line")
    } == {"pointer": "/frob", "line": 3}  # fmt: skip


def test_refusal_of_the_exchange_keeps_its_status_and_request(capsys, monkeypatch):
    def refuse(**_given):
        fault = Fault("/topic", "unknown-topic", "no topic")
        raise ProblemError(status=422, code="invalid", detail="not so", faults=(fault,), request_id="r-1")

    monkeypatch.setattr(program, "_program", lambda: refuse)

    assert run(["report", "list", "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == {
        "error": {
            "code": "invalid",
            "detail": "not so",
            "status": 422,
            "request_id": "r-1",
            "errors": [{"pointer": "/topic", "code": "unknown-topic", "detail": "no topic"}],
        }
    }


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (KeyboardInterrupt(), "interrupted"),
        (OSError(errno.EIO, "Input/output error"), "system"),
        (KeyError(), "unexpected"),
    ],
)
def test_what_nobody_foresaw_is_json_too(exchange, monkeypatch, raised, code):
    def fail(**_given):
        raise raised

    monkeypatch.setattr(program, "_program", lambda: fail)
    ran = exchange("status", "--json")

    assert (ran.code, ran.json["error"]["code"]) == (1, code)


def test_failure_behind_a_whole_document_does_not_spoil_it(exchange, monkeypatch):
    def fail(**_given):
        output.show_json({"id": 1})
        raise InvalidError("late")

    monkeypatch.setattr(program, "_program", lambda: fail)

    assert exchange("status", "--json").json == {"id": 1}
    assert exchange("status", "--json").json == {"id": 1}


def test_failure_of_a_stream_is_its_last_line(exchange, monkeypatch):
    def fail(**_given):
        output.show_json_line('{"id": 1}')
        raise InvalidError("late")

    monkeypatch.setattr(program, "_program", lambda: fail)
    first, last = exchange("report", "watch", "--json").out.splitlines()

    assert (json.loads(first), json.loads(last)["error"]["detail"]) == ({"id": 1}, "late")


@pytest.mark.parametrize("words", [["member", "list"], ["status", "--", "--json"]])
def test_failure_is_in_words_alone_where_no_json_is_asked_for(exchange, words):
    assert exchange(*words).out == ""
