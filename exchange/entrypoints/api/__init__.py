"""The HTTP interface `/v1` as the contract fixes it, its document and its page.

Promises: every operation declares its policy action and every error it may end in; the caller is known before its body
is read; a GET changes nothing.
Does not: decide, open or store anything: each operation is one use case.
"""

from functools import cache
from typing import Any

from fastapi import FastAPI
from starlette.routing import Route

from exchange import __version__
from exchange.entrypoints.api import (
    acts,
    agreements,
    audit_alerts,
    audit_entries,
    audit_erasures,
    audit_export,
    audit_log,
    audit_registries,
    audit_witnesses,
    callers,
    caveats,
    compliance,
    consents,
    consultations,
    crises,
    notices,
    outlooks,
    parties,
    proxies,
    report_life,
    reports,
    requests,
    signatory_keys,
    simulations,
    stream,
    subscriptions,
    uploads,
)
from exchange.entrypoints.api.docs import docs_routes
from exchange.entrypoints.api.openapi import document
from exchange.entrypoints.http.routing import Endpoint, Operation, add_operations
from exchange.entrypoints.http.visit import BodyLimits

OPERATIONS: tuple[tuple[Operation, Endpoint], ...] = (
    *reports.OPERATIONS,
    *uploads.OPERATIONS,
    *report_life.OPERATIONS,
    *notices.OPERATIONS,
    *consents.OPERATIONS,
    *proxies.OPERATIONS,
    *caveats.OPERATIONS,
    *requests.OPERATIONS,
    *callers.OPERATIONS,
    *parties.OPERATIONS,
    *signatory_keys.OPERATIONS,
    *outlooks.OPERATIONS,
    *agreements.OPERATIONS,
    *compliance.OPERATIONS,
    *crises.OPERATIONS,
    *consultations.OPERATIONS,
    *acts.OPERATIONS,
    *simulations.OPERATIONS,
    *stream.OPERATIONS,
    *subscriptions.OPERATIONS,
    *audit_entries.OPERATIONS,
    *audit_registries.OPERATIONS,
    *audit_alerts.OPERATIONS,
    *audit_erasures.OPERATIONS,
    *audit_export.OPERATIONS,
    *audit_log.OPERATIONS,
    *audit_witnesses.OPERATIONS,
)

__all__ = ["OPERATIONS", "add_api", "api_document"]


@cache
def api_document() -> dict[str, Any]:
    """Return the OpenAPI document, made once: it is for reading."""
    return document((operation for operation, _ in OPERATIONS), version=__version__)


@cache
def _routes_of_document() -> tuple[Route, ...]:
    """Return the routes that show it, made once: they hold no more than what they answer with."""
    return tuple(docs_routes(api_document()))


def add_api(app: FastAPI, limits: BodyLimits) -> None:
    """Add the operations of `/v1`, `/openapi.json` and `/docs` to `app`."""
    add_operations(app, OPERATIONS, limits)
    described = api_document()
    # FastAPI would describe the routes anew, without their bodies and errors: whoever asks the app gets the real one.
    app.openapi = lambda: described  # type: ignore[method-assign]  # how FastAPI's own docs say to replace it
    app.router.routes.extend(_routes_of_document())
