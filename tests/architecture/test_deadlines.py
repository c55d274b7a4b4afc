"""Nothing waits for ever: whatever calls out of the process says how long it waits for an answer."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CALLS = {
    "asyncpg.connect",
    "httpx2.AsyncClient",
    "httpx2.Client",
    "httpx2.post",
    "httpx2.get",
    "httpx2.request",
    "socket.create_connection",
    "sqlite3.connect",
    "subprocess.run",
    "urllib.request.urlopen",
}
"""What else opens a connection is handed one of these, or is the store of blobs, whose calls have a deadline each."""
OWN_HOST = {"exchange/cli/demo/convicting.py"}
"""The demo changes a database of its own that nobody else has open."""


def calls_without_a_deadline(source: str) -> list[str]:
    """Return the calls out of the process in a module that name no `timeout`, with their lines."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    outwards = [(ast.unparse(call.func), call) for call in calls]
    return [
        f"{name}:{call.lineno}"
        for name, call in outwards
        if name in CALLS and "timeout" not in {keyword.arg for keyword in call.keywords}
    ]


def test_every_call_out_of_the_process_has_a_deadline() -> None:
    modules = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in (ROOT / "exchange").rglob("*.py")}
    found = {name: calls_without_a_deadline(source) for name, source in modules.items() if name not in OWN_HOST}

    assert {name: calls for name, calls in found.items() if calls} == {}


def test_call_without_a_deadline_would_be_noticed() -> None:
    source = "import httpx2\nhttpx2.post('https://host')\nhttpx2.post('https://host', timeout=1)\n"

    assert calls_without_a_deadline(source) == ["httpx2.post:2"]
