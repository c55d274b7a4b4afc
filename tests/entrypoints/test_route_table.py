"""The table of routes must find what FastAPI's own routing finds, for every operation and for what is near one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.routing import Match

from exchange.entrypoints.api import OPERATIONS
from exchange.entrypoints.http.route_table import RouteTable
from exchange.entrypoints.http.routing import OperationRoute
from exchange.entrypoints.http.visit import BodyLimits

ALL = [OperationRoute(operation, endpoint, BodyLimits(1, 1.0)) for operation, endpoint in OPERATIONS]
ROUTES = [route for route in ALL if ":" not in route.path]
TABLE = RouteTable(ALL)
PIECES = sorted({piece for route in ALL for piece in route.path.split("/")})
paths = st.one_of(
    st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=3)), max_size=8).map("/".join),
    st.sampled_from([route.path for route in ALL]),
    st.sampled_from([route.path + tail for route in ALL for tail in ("/", "//", "/x", "\n")]),
)
methods = st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "get", ""])


def scope_of(method: str, path: str) -> dict[str, object]:
    return {"type": "http", "method": method, "path": path, "root_path": "", "headers": []}


def found_by_starlette(method: str, path: str) -> tuple[object, object]:
    for route in ALL:
        match, child = route.matches(scope_of(method, path))
        if match is Match.FULL:
            return route, child["path_params"]
    return None, None


@given(method=methods, path=paths)
def test_finds_what_starlette_finds(method: str, path: str) -> None:
    scope = scope_of(method, path)

    route = TABLE.find(scope)

    theirs, parameters = found_by_starlette(method, path)
    if theirs in ROUTES:
        assert (route, scope["path_params"]) == (theirs, parameters)
    else:
        assert route is None
    assert scope.get("route") is route


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.operation.action)
def test_every_operation_is_found_and_keeps_its_parameters(route: OperationRoute) -> None:
    path = "/".join("x" if piece.startswith("{") else piece for piece in route.path.split("/"))
    scope = scope_of(route.operation.method, path)

    assert TABLE.find(scope) is route
    assert scope["path_params"] == dict.fromkeys(route.param_convertors, "x")


@pytest.mark.parametrize("route", ALL, ids=lambda route: route.operation.action)
def test_path_with_a_line_break_behind_it_is_another_one(route: OperationRoute) -> None:
    path = "/".join("x" if piece.startswith("{") else piece for piece in route.path.split("/")) + "\n"
    found, parameters = found_by_starlette(route.operation.method, path)

    # What varies may end so: no thing is named like that.
    assert found is None or "x\n" in parameters.values()


def test_under_a_root_path_nothing_is_found() -> None:
    assert TABLE.find({**scope_of("GET", "/v1/reports"), "root_path": "/x"}) is None
