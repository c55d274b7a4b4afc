"""Which operation a request is for, found by the number of its path's pieces: what FastAPI finds, sooner.

FastAPI leads each request through seven layers and asks every route's regular expression in turn. The operations have
one kind of path, so their routes stand here too, and a request for one of them goes from the door straight to it.
"""

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from starlette.types import Receive, Scope, Send


class Served(Protocol):
    """A route: its path with `{name}` for what varies, its methods, and what answers."""

    path: str
    methods: set[str] | None

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None: ...


class _Entry(NamedTuple):
    fixed: tuple[tuple[int, str], ...]
    varying: tuple[tuple[int, str], ...]
    route: Served


class RouteTable:
    """The routes of the operations. Where it finds none, FastAPI says why."""

    def __init__(self, routes: Iterable[Served]) -> None:
        self._entries: dict[tuple[str, int], list[_Entry]] = {}
        for route in routes:
            if ":" in route.path:
                continue  # a parameter that may hold slashes: FastAPI finds it
            pieces = list(enumerate(route.path.split("/")))
            varying = tuple((place, piece[1:-1]) for place, piece in pieces if piece.startswith("{"))
            fixed = tuple((place, piece) for place, piece in pieces if not piece.startswith("{"))
            for method in route.methods or ():
                self._entries.setdefault((method, len(pieces)), []).append(_Entry(fixed, varying, route))

    def find(self, scope: Scope) -> Served | None:
        """Return the first route for the method and path of `scope`, and put its path parameters there."""
        if scope.get("root_path"):
            return None
        pieces = scope["path"].split("/")
        for fixed, varying, route in self._entries.get((scope["method"], len(pieces)), ()):
            if all(pieces[place] == piece for place, piece in fixed) and all(pieces[place] for place, _ in varying):
                scope["route"] = route
                scope["path_params"] = {name: pieces[place] for place, name in varying}
                return route
        return None
