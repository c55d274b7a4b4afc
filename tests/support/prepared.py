"""`exchange` in a process of its own that begins as a copy of one that has loaded the program already.

To load the program is most of what starting a process takes, and the suite starts a hundred and more. One process per
worker of the run, the loader, is begun by `exec` and loads it once; whoever wants a process gets a copy of that. A copy
has what `python -m exchange.cli` would have: memory, process id, arguments, environment, folder, standard streams,
session and signals of its own, and the test's process as its parent.

Does not: give what only `exec` gives, as another seed of the hashes than the last copy's; nor take itself apart at its
end, once its threads have ended, what it registered has run and its streams have said all. What a test says about the
start of a process, or about what it imports, it says of one that was begun by `exec`. Another version of the program has
a loader of its own where a test asks for one (`prepared_version`): begun by `exec` too, it has loaded that version alone.

INVARIANT: the loader imports, makes what each process of the program would make of its code alone, listens to its line
and does nothing else; what it held, each copy would hold.
"""

import atexit
import ctypes
import functools
import gc
import os
import pickle
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, AnyStr, TextIO

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = (sys.executable, "-m", "exchange.cli")

_VERBS = ("exchange.app", "exchange.cli.serving", "exchange.cli.audit_group", "exchange.cli.report_group")
_LATE = (
    "aiosqlite",
    "alembic.command",
    "asyncpg",
    "sqlalchemy.dialects.sqlite.aiosqlite",
    "uvicorn.protocols.http.httptools_impl",
)
"""What those import when they are at work."""

_MOST_BYTES = 256 * 1024
_STREAMS = 3
_SET_CHILD_SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER of prctl(2): whoever of one's descendants loses its parent becomes one's child."""

_asking = threading.Lock()

_ended: list[int] = []
"""The code with which a copy's program has ended by itself."""

_ToldPython = frozenset[tuple[str, str]]
_versions: "dict[_ToldPython, _Loader]" = {}


@dataclass(frozen=True, slots=True)
class _Wish:
    """How a copy begins."""

    words: tuple[str, ...]
    environment: dict[str, str]
    folder: str
    is_leader: bool


class PreparedProcess(subprocess.Popen[AnyStr]):
    """A `Popen` of `(sys.executable, "-m" or "-c", ...)` that is begun as a copy.

    It is begun by `exec` where its environment tells Python something that no loader was told: another path, say.
    """

    def _execute_child(self, args: Iterable[object], *given: Any) -> None:
        # The order is that of `subprocess` in the one version of Python that this project runs on.
        _, preexec, _, passed, folder, env, *_ = given
        p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite = given[9:15]
        is_leader = given[20]
        words = tuple(map(str, args))
        environment = dict(os.environ if env is None else env)
        loader = _loader_told(_told_python(environment))
        if loader is None:
            super()._execute_child(args, *given)  # type: ignore[misc]  # a name that only `subprocess` itself uses
            return
        assert words[0] == sys.executable
        assert words[1] in {"-m", "-c"}
        assert (preexec, passed) == (None, ())
        wish = _Wish(words[1:], environment, str(folder or Path.cwd()), is_leader)
        streams = [own if own != -1 else number for number, own in enumerate((p2cread, c2pwrite, errwrite))]
        self.pid = loader.begin(wish, streams)
        self._child_created = True
        self._close_pipe_fds(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)  # type: ignore[attr-defined]  # the same


def run_prepared(
    *words: object, cwd: Path = ROOT, env: Mapping[str, str] | None = None, timeout: float | None = None
) -> subprocess.CompletedProcess[str]:
    """Run Python with such words in a copy, to its end, as `subprocess.run` would; after `timeout` seconds it is ended."""
    command = [sys.executable, *map(str, words)]
    with PreparedProcess[str](
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd, env=env
    ) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(command, process.returncode, out, err)


@contextmanager
def prepared_version(environment: Mapping[str, str]) -> Iterator[None]:
    """Load the version of the program that this environment leads Python to: what is begun in it meanwhile is a copy."""
    told = _told_python(environment)
    assert dict(told)["PYTHONSAFEPATH"]  # else the folder of this file would lead the copies' path
    loader = _versions[told] = _Loader(environment, __file__)  # that version's path leads to no package of tests
    try:
        yield
    finally:
        del _versions[told]
        loader.end()


def _told_python(environment: Mapping[str, str]) -> _ToldPython:
    return frozenset((name, value) for name, value in environment.items() if name.startswith("PYTHON"))


def _loader_told(told: _ToldPython) -> "_Loader | None":
    if not sys.platform.startswith("linux"):
        return None
    return _loader() if told == _told_python(os.environ) else _versions.get(told)


class _Loader:
    """The other end of the loader's line."""

    def __init__(self, environment: Mapping[str, str], *program: str) -> None:
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (self._line, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _MOST_BYTES)
        command = [sys.executable, *program, str(theirs.fileno())]
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=dict(environment),
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        theirs.close()
        atexit.register(self.end)

    def begin(self, wish: _Wish, streams: list[int]) -> int:
        """Have a copy made and return the id of its process, which is then this one's child."""
        with _asking:
            _adopt(True)
            try:
                socket.send_fds(self._line, [pickle.dumps(astuple(wish))], streams)
                answer = self._line.recv(64)
            finally:
                _adopt(False)
        if not answer:
            raise RuntimeError(f"the loader ended with code {self._process.wait()}")
        return int(answer)

    def end(self) -> None:
        """End it; a copy goes on."""
        self._line.close()
        self._process.wait()


@functools.cache
def _loader() -> _Loader:
    return _Loader(os.environ, "-m", "tests.support.prepared")


def _adopt(is_wanted: bool) -> None:
    """Say whether a grandchild whose parent ends becomes a child of this process."""
    if ctypes.CDLL(None, use_errno=True).prctl(_SET_CHILD_SUBREAPER, int(is_wanted), 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def _load() -> None:
    gc.disable()
    for name in (*_VERBS, *_LATE):
        import_module(name)
    _make()
    gc.enable()
    gc.freeze()  # else each look for garbage would copy the pages that are shared


def _make() -> None:
    """Make what is made of code alone: half of what a verb takes that opens a store, and of what a service takes to start."""
    import_module("exchange.entrypoints.api").api_document()
    import_module("sqlalchemy.orm").configure_mappers()
    rooms = [each for name, each in sys.modules.items() if name.startswith("exchange.store.")]
    kinds: set[Any] = {each for room in rooms for each in vars(room).values() if isinstance(each, type)}
    for is_sqlite in (True, False):
        sql = import_module("exchange.store.database.dialect").sql_for(is_sqlite=is_sqlite)
        for statements in (each for each in kinds if "compiled" in vars(each)):
            sql.once(statements.compiled)


def _copied(line: socket.socket) -> _Wish | None:
    """Make a copy for each wish; return the wish in the copy, None in the loader once nobody can wish any more."""
    while True:
        said, streams, _, _ = socket.recv_fds(line, _MOST_BYTES, _STREAMS)
        if not said:
            return None
        begun = _fork_twice()
        if begun is None:
            _take(streams)
            return _Wish(*pickle.loads(said))
        for stream in streams:
            os.close(stream)
        line.send(str(begun).encode())


def _fork_twice() -> int | None:
    """Return the process id of a grandchild whose parent has ended, None in that one."""
    heard, told = os.pipe()
    between = os.fork()
    if between == 0:
        parent = os.getpid()
        copy = os.fork()
        if copy == 0:
            os.close(heard)
            os.close(told)
            while os.getppid() == parent:  # it must not begin before it is the test's own child
                time.sleep(0.0005)
            return None
        os.write(told, str(copy).encode())
        os._exit(0)
    os.close(told)
    os.waitpid(between, 0)
    with os.fdopen(heard) as answers:
        return int(answers.read())


def _take(streams: Iterable[int]) -> None:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)


def _stream_anew(loaders: TextIO) -> TextIO:
    """Return a stream for what the descriptor is now: the loader's keeps whether one could seek in what it was."""
    lines = 1 if loaders.line_buffering else -1
    return open(loaders.fileno(), "w", lines, encoding=loaders.encoding, errors=loaders.errors, closefd=False)


def _begin(wish: _Wish) -> None:
    """Become what `python` with these words would be."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if wish.is_leader:
        os.setsid()
    os.chdir(wish.folder)
    os.environ.clear()
    os.environ.update(wish.environment)
    sys.stdout, sys.stderr = _stream_anew(sys.stdout), _stream_anew(sys.stderr)
    option, program, *words = wish.words
    sys.argv = [option, *words]
    try:
        if option == "-c":
            exec(program, {"__name__": "__main__"})
        else:
            runpy.run_module(program, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            _ended.append((end.code or 0) & 0xFF)
        raise
    _ended.append(0)


def _leave() -> None:
    """End a copy without taking apart what it shares with the loader: that was nine tenths of what a short verb took.

    Where a program ended otherwise, or its streams take nothing any more, Python says so in its own words.
    """
    if _ended:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        except (OSError, ValueError):
            return
        os._exit(_ended[0])


def _main() -> None:
    atexit.register(_leave)  # before all others: it is the last to be called
    # Ctrl-C is said to all processes of the terminal: those who asked for copies end, and the loader after them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _load()
    with socket.socket(fileno=int(sys.argv[1])) as line:
        wish = _copied(line)
    if wish is not None:
        _begin(wish)


if __name__ == "__main__":
    _main()
