"""`/openapi.json` and its page `/docs`: for enrolled clients only, from files of this installation alone."""

from importlib.resources import files
from importlib.resources.abc import Traversable

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from exchange.entrypoints.http.problems import Asked, refusal
from exchange.entrypoints.http.receipts import receipt_headers
from exchange.entrypoints.http.routing import ExactRoute
from exchange.entrypoints.http.visit import CALL_KEY, SERVICES_KEY
from exchange.kernel import ExchangeError
from exchange.usecases import record_visit

_ASSETS = {
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
    "favicon.png": "image/png",
}
_START = """\
window.onload = () => SwaggerUIBundle({url: "/openapi.json", dom_id: "#page", deepLinking: true, validatorUrl: null});
"""
_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>The exchange: interface</title>
<link rel="icon" href="/docs/favicon.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="page"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
# Swagger UI writes style attributes and data: images; nothing comes from elsewhere and nothing frames the page.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def docs_routes(document: dict[str, object]) -> list[Route]:
    """Return the routes that serve `document` and the page that shows it."""
    carried: Traversable = files("fastapi_offline") / "static"
    routes = [
        _route("/openapi.json", orjson.dumps(document), "application/json"),
        _route("/docs", _PAGE.encode(), "text/html; charset=utf-8"),
        _route("/docs/start.js", _START.encode(), "text/javascript; charset=utf-8"),
    ]
    assets = [_route(f"/docs/{name}", (carried / name).read_bytes(), media) for name, media in _ASSETS.items()]
    return [*routes, *assets]


def _route(path: str, content: bytes, media: str) -> Route:
    headers = {"Content-Type": media, "Content-Security-Policy": _POLICY}

    async def serve(request: Request) -> Response:
        services, call = request.scope[SERVICES_KEY], request.scope[CALL_KEY]
        try:
            receipt = await record_visit(services, call, route=path)
        except ExchangeError as exc:
            return await refusal(services, call, exc, Asked(request.method, path))
        return Response(content, headers=headers | receipt_headers(receipt))

    return ExactRoute(path, serve, methods=["GET"])
