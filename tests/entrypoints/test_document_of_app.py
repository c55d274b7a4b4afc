"""The document that the app itself gives is the one that is served."""

from fastapi import FastAPI

from exchange.entrypoints.api import add_api, api_document
from exchange.entrypoints.http.visit import BodyLimits


def test_app_describes_itself_as_it_is_served() -> None:
    app = FastAPI()
    add_api(app, BodyLimits(1000, 1.0))

    assert app.openapi() == api_document()
    assert "post" in app.openapi()["paths"]["/v1/reports"]
