"""The `exchange` command: its verbs, and how they end.

Exit codes: 0 done, 1 refused or failed, 2 wrong usage. An error is a few lines on stderr, never a traceback.

A verb's module is imported when that verb is called: `--help` and a member's verbs start without the database, the
web framework and everything else that an operator's verbs bring along.
"""

import errno
import gc
import io
import os
import resource
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

from exchange import __version__
from exchange.cli import failures, output
from exchange.cli.examples import show_examples
from exchange.cli.usage import UsageError
from exchange.kernel import ExchangeError


@dataclass(frozen=True, slots=True)
class Verb:
    """Where a verb of the first level is written, and what `exchange --help` says about it."""

    module: str
    told: str


# The sentences are those of the verbs themselves (a test compares them): reading them there would import every module.
VERBS: Mapping[str, Verb] = {
    "init": Verb("init", "Make a new instance: keys, demo CA, server certificate, database, settings."),
    "demo": Verb("demo", "Run the main job on real input with a real server; exit 1 where any step comes out wrong."),
    "serve": Verb("serving", "Serve with mutual TLS; prints `ready https://HOST:PORT` once it answers."),
    "migrate": Verb(
        "serving",
        "Bring schema and keys up to date with this version; safe to run again, and on several nodes at once.",
    ),
    "status": Verb("serving", "Show the state of the instance on one screen."),
    "doctor": Verb("serving", "Check the configuration and say how to mend it; exit 1 where something must be mended."),
    "backup": Verb("backups", "Put the instance's data aside, signed and sealed; never its keys."),
    "restore": Verb("backups", "Fill an empty instance from a backup."),
    "restored": Verb("backups", "What a restore left to be confirmed before anything is served."),
    "keys": Verb("keys", "Keys: their versions, sealed to their keepers, put back."),
    "act": Verb("acts", "Acts that wait for a second person: see, confirm, refuse."),
    "agreement": Verb("agreements", "Agreements between members."),
    "audit": Verb("audit", "The audit log: search it, verify it, and check what it owes you."),
    "clock": Verb("clock", "This machine's clock, where it is behind what was believed."),
    "client": Verb("clients", "Clients: enrolled systems and people (operator)."),
    "ca": Verb("authorities", "Authorities whose client certificates are accepted."),
    "hold": Verb("holds", "Legal holds: while one is on, nothing is destroyed or archived for its age."),
    "member": Verb("members", "Members: states and registered organisations (operator)."),
    "policy": Verb("policy", "The law: check it, explain a decision, simulate a release."),
    "profile": Verb("profile", "Saved connections to exchanges (member)."),
    "report": Verb("report", "Reports: post, pull, list, watch, explain, amend, recall."),
    "request": Verb("requests", "Requests for information: ask, list, show, answer, close, withdraw."),
    "webhook": Verb("webhooks", "Webhooks: be told of new reports, see what was not taken."),
}


class _Verbs(TyperGroup):
    """Knows every verb by name and sentence, and imports the one that is called."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        loaded = dict(self.commands)
        self.commands = {name: loaded.get(name) or TyperCommand(name, help=verb.told) for name, verb in VERBS.items()}
        self._made: set[str] = set()
        show_examples(self, "")

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name = args[0]
        if name in VERBS and name not in self._made:
            # The module adds its verbs to `app`. Made of it once: all verbs are made anew each time.
            with nothing_collected():
                import_module(f"exchange.cli.{VERBS[name].module}")
            self.commands[name] = get_group(app).commands[name]
            _refuse_empty_paths(self.commands[name])
            show_examples(self.commands[name], name)
            self._made.add(name)
        return super().resolve_command(ctx, args)


app = typer.Typer(
    name="exchange",
    cls=_Verbs,
    help="Share encrypted intelligence reports between states under signed agreements.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

DONE, FAILED, USAGE = 0, 1, 2
_INTERRUPTED = 130
"""What the command line's library makes of an interruption; ours is a failure like others (contract)."""


def _show_version(*, is_asked_for: bool) -> None:
    if is_asked_for:
        output.show_line(f"exchange {__version__}")
        raise typer.Exit


@app.callback()
def _exchange(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    # A program of several verbs, also while none of them is imported.
    pass


@cache
def _program() -> Callable[..., Any]:
    program: Callable[..., Any] = get_command(app)
    return program


def main() -> None:
    """Run the command line and exit with its code."""
    _leave_no_core()
    has_stdout = _fill_closed_streams()
    _write_every_letter()
    if not has_stdout:
        # Before anything is done: what nobody can be told of is not begun.
        output.say_failure("stdout is closed: where nothing is to be told, send it to /dev/null (`>/dev/null`)")
        sys.exit(FAILED)
    code = run(sys.argv[1:])
    try:
        # Here, for at exit nobody could catch it.
        sys.stdout.flush()
    except BrokenPipeError:
        _let_go_of_stdout()
        code = FAILED
    except OSError as exc:
        output.say_failure(_unforeseen(exc))
        _let_go_of_stdout()
        code = FAILED
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    output.begin()
    try:
        return _run(arguments)
    except BrokenPipeError:
        _let_go_of_stdout()
        return FAILED
    except OSError as exc:
        # Of stdout itself, which is full: nothing more is said there.
        output.say_failure(_unforeseen(exc))
        return FAILED


def _run(arguments: Sequence[str]) -> int:
    try:
        _program()(args=list(arguments), prog_name="exchange")
    except SystemExit as exc:
        return _ended(arguments, exc)
    except KeyboardInterrupt:
        return _fail(arguments, "interrupted", "interrupted")
    except BrokenPipeError:
        raise
    except ExchangeError as exc:
        output.say_failure(str(exc))
        failures.tell_error(arguments, exc)
        return USAGE if isinstance(exc, UsageError) else FAILED
    except Exception as exc:
        # The last place: a person gets a sentence, not a traceback.
        if os.environ.get("EXCHANGE_TRACEBACK"):
            raise
        return _fail(arguments, "system" if isinstance(exc, OSError) else "unexpected", _unforeseen(exc))
    return DONE


def _ended(arguments: Sequence[str], end: SystemExit) -> int:
    if end.code == _INTERRUPTED:
        return _fail(arguments, "interrupted", "interrupted")
    if end.code == USAGE:
        # The library has said it on stderr already; what it said is what it ended over.
        told = getattr(end.__context__, "format_message", lambda: "wrong usage")()
        failures.tell(arguments, "usage", told)
    return end.code if isinstance(end.code, int) else DONE


def _fail(arguments: Sequence[str], code: str, detail: str) -> int:
    output.say_failure(detail)
    failures.tell(arguments, code, detail)
    return FAILED


@contextmanager
def nothing_collected() -> Iterator[None]:
    """Collect no garbage while modules are imported, and never look through them again: it was a third of the time."""
    was_collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_collecting:
            gc.freeze()  # else what follows, and the end of the process, would each go through all of it
            gc.enable()


def _refuse_empty_paths(command: Any) -> None:
    """Let no path of `command` be empty: that of a shell variable that is not set would be the folder one stands in."""
    for below in getattr(command, "commands", {}).values():
        _refuse_empty_paths(below)
    for parameter in command.params:
        if "Path" in str(getattr(parameter, "type_descriptor", "")):
            parameter.process_value = partial(_process_path, parameter, parameter.process_value)


def _process_path(parameter: Any, process: Callable[[Any, Any], Any], ctx: Any, value: Any) -> Any:
    if value == "" or (isinstance(value, list | tuple) and "" in value):
        raise typer.BadParameter("the path is empty: give it, `.` for the folder you are in", ctx=ctx, param=parameter)
    return process(ctx, value)


def _unforeseen(error: Exception) -> str:
    """Return a sentence: what the operating system refused is told in its own words, and of which file."""
    if isinstance(error, ModuleNotFoundError) and not (error.name or "exchange").startswith("exchange"):
        return f"`{error.name}` is not installed: this verb needs all of `requirements.txt`"
    if isinstance(error, MemoryError):
        return "this process has no memory left: let it have more (`ulimit -v`, `MemoryMax=` of systemd), or try again"
    if not isinstance(error, OSError):
        return f"unexpected: {type(error).__name__}: {error} (set EXCHANGE_TRACEBACK=1 to see where)"
    place = f"`{error.filename}`: " if error.filename else ""
    mend = ": make room on the disk, and try again" if error.errno in {errno.ENOSPC, errno.EDQUOT} else ""
    return f"{place}{(error.strerror or str(error)).lower()}{mend}"


def _leave_no_core() -> None:
    """Let a process that dies of a fault leave its memory nowhere: root keys, and what readers are being shown."""
    # Not 0: where the kernel gives it to a program (core(5)), no limit counts, but 1, by which it does not. Where 0 is
    # the most that the host allows, nobody may raise it, and what the host does with such a process is the host's.
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    if most != 0:
        resource.setrlimit(resource.RLIMIT_CORE, (1, 1))


def _fill_closed_streams() -> bool:
    """Put /dev/null in the place of standard streams that are closed, and say whether there was a stdout.

    A file that is opened while they are closed gets their number: what is written to stderr would go into it.
    """
    has_stdout = sys.stdout is not None
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # The lowest number that is free: this one.
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115  (they stay open until the end)
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115
    return has_stdout


def _write_every_letter() -> None:
    """Let a letter that the terminal's encoding does not have be written by its number.

    What was done would end as a failure, and of a list one subject of others would take all the rest away.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _let_go_of_stdout() -> None:
    """Whoever reads our output has gone; nothing can be said to it, at exit neither."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
