"""What is hidden in the world under attack, and how answers are compared."""

import json
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from fastapi import FastAPI

from exchange.app import create_app
from exchange.entrypoints.api import api_document
from exchange.entrypoints.http.connections import THUMBPRINT_FIELD
from exchange.kernel import new_id
from exchange.settings import Settings, load_settings
from tests.support.calling import Caller
from tests.support.world import AGREEMENT, NOW, World, thumbprint_of

AGREEMENT_OF_TWO = AGREEMENT.replace("[GBR, NOR, DNK]", "[GBR, ESP]").replace("[GBR, NOR]", "[GBR, ESP]")
"""Same title, same scope, other parties: what is bound by name instead of id would mix the two up."""

SHARES = 8
"""Of the paths, one after the other in one world: none of what is asked changes it, and each that does is found."""

METHODS = ("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS")

# The exchange's auditor sees what happened to everything, and still no report.
AUDIT_OUTSIDERS = ("NOR auditor", "DNK reader", "NOR releaser", "NOR operator", "operator")

# For whom the hidden things do not exist, by the path segment before an id.
OUTSIDERS = {
    "reports": ("DNK reader", "NOR junior", "NOR contributor", "NOR releaser", "operator", "auditor"),
    "agreements": ("DNK reader", "NOR signatory", "NOR operator", "auditor"),
    "clients": ("DNK reader", "NOR operator", "auditor"),
    "entries": AUDIT_OUTSIDERS,
    "erasures": ("DNK reader", "NOR operator", "NOR auditor"),
    "subscriptions": ("DNK reader", "NOR reader", "operator", "auditor"),
    "onward-requests": ("DNK reader", "NOR releaser", "GBR contributor", "operator", "auditor"),
    "derivation-requests": ("DNK contributor", "NOR releaser", "GBR reader", "operator", "auditor"),
    "proxies": ("DNK reader", "NOR releaser", "GBR contributor", "operator", "auditor"),
    "information-requests": ("DNK reader", "NOR reader", "NOR contributor", "NOR releaser", "operator", "auditor"),
    "acts": ("DNK reader", "NOR operator", "NOR auditor"),
    "caveats": ("DNK reader", "NOR releaser", "NOR auditor", "operator", "auditor"),
    "uploads": ("GBR reader", "NOR contributor", "DNK reader", "NOR releaser", "operator", "auditor"),
    "consultations": ("DNK signatory", "NOR signatory", "GBR reader", "operator", "auditor"),
}


def outsiders_of(path: str) -> tuple[str, ...]:
    """Return for whom what is hidden behind `path` does not exist."""
    segment = segment_of(path) or ""
    is_about_reports = path.startswith("/v1/audit/") and segment in {"reports", "clients"}
    return AUDIT_OUTSIDERS if is_about_reports else OUTSIDERS[segment]


@dataclass(frozen=True)
class Hidden:
    """Ids of V: a report of GBR for GBR alone, one under an agreement of GBR and ESP, that agreement, an ESP client.

    `entry` is the log's entry about the first report's post, `erasure` one of a GBR client that waits for approval,
    `subscription` is where the GBR reader is told of new reports, `onward` a request to release the first report to ESP,
    `derivation` one to mark lower what derives from it, `proxy` a consent that NOR posts for GBR, which waits for a second person, `consultation` one between GBR and ESP,
    `request` one for information that asks NOR, above what NOR's own clients are cleared for.
    `caveats` what GBR has in force for its own reports. `upload` is a report of GBR that is not complete.
    """

    report: str
    other_report: str
    agreement: str
    client: str
    entry: str
    erasure: str
    subscription: str
    onward: str
    derivation: str
    proxy: str
    caveats: str
    request: str
    consultation: str
    upload: str

    def ids(self, segment: str) -> tuple[str, ...]:
        """Return the hidden ids that fit behind a path segment; a new kind must be told here."""
        kinds = {
            "reports": (self.report, self.other_report, self.upload),
            "agreements": (self.agreement,),
            "clients": (self.client,),
            "entries": (self.entry,),
            "erasures": (self.erasure,),
            "subscriptions": (self.subscription,),
            "acts": (self.erasure,),
            "onward-requests": (self.onward,),
            "derivation-requests": (self.derivation,),
            "proxies": (self.proxy,),
            "caveats": (self.caveats,),
            "information-requests": (self.request,),
            "consultations": (self.consultation,),
            "uploads": (self.upload,),
        }
        assert segment in kinds, f"`/{segment}/{{id}}` is a new kind of path: say here what to attack it with"
        return kinds[segment]


def random_id() -> str:
    """Return a UUIDv7 of which nothing is known."""
    return new_id(NOW, os.urandom)


@dataclass(frozen=True)
class Seen:
    """All that a caller could tell two answers apart by, but for the ids of request and entry."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    length: int


_OWN_IDS = ("x-request-id", "x-audit-entry", "x-audit-leaf")


def seen(answer: httpx2.Response) -> Seen:
    """Return what `answer` shows, the ids of its request and entry masked, and those of events but for their length."""
    body = answer.content
    if answer.headers.get("content-type", "").startswith("text/event-stream"):
        body = re.sub(rb"^id: (.*)$", lambda found: b"id: " + b"-" * len(found[1]), body, flags=re.MULTILINE)
    for name in _OWN_IDS:
        if name in answer.headers:
            body = body.replace(answer.headers[name].encode(), b"*")
    headers = tuple(
        sorted((name.lower(), "*" if name.lower() in _OWN_IDS else value) for name, value in answer.headers.items())
    )
    return Seen(answer.status_code, headers, body, len(answer.content))


@dataclass
class Api:
    """The service, its document, and clients that call it."""

    app: FastAPI
    world: World
    clients: dict[str | None, httpx2.AsyncClient] = field(default_factory=dict)

    @property
    def document(self) -> dict[str, Any]:
        """Return the OpenAPI document."""
        return api_document()

    def as_client(self, name: str | None) -> httpx2.AsyncClient:
        """Return a client that calls with the certificate of `name`, or without any."""
        if name not in self.clients:
            self.clients[name] = client_of(self.app, None if name is None else thumbprint_of(name))
        return self.clients[name]

    def operations(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Return method, path and description of every operation in the document."""
        return [
            (method.upper(), path, operation)
            for path, methods in self.document["paths"].items()
            for method, operation in methods.items()
        ]


def client_of(app: FastAPI, thumbprint: str | None) -> httpx2.AsyncClient:
    """Return a client of `app` in this process, with a thumbprint where the TLS layer would put it."""

    async def with_certificate(scope, receive, send) -> None:
        if thumbprint is not None:
            scope["extensions"] = {"tls": {THUMBPRINT_FIELD: thumbprint, "client_cert_error": None}}
        await app(scope, receive, send)

    return Caller(with_certificate)


_SETTINGS = "max_body_bytes = 200_000\nrequests_per_second = 100_000\n"
"""Where the clock stands still, so does what fills a bucket: one has to be enough for every route."""


@asynccontextmanager
async def open_api(world: World, settings: str = _SETTINGS) -> AsyncIterator[Api]:
    """Give the service over `world`."""
    app = create_app(_settings(world.folder, settings))
    app.state.services = world.services
    opened = Api(app, world)
    yield opened
    for client in opened.clients.values():
        await client.aclose()


def _settings(folder: Path, text: str) -> Settings:
    (folder / "exchange.toml").write_text(text)
    return load_settings(folder)


_PARAMETER = re.compile(r"(?:([\w-]+)/)?\{(\w+)\}")


def filled(path: str, an_id: str) -> str:
    """Return `path` with `an_id` as its id and 1 as a part's number; an unknown kind of parameter is a failure."""

    def value(found: re.Match[str]) -> str:
        before, name = found.groups()
        values = {"id": an_id, "n": "1", "level": "0", "index": "000"}
        assert name in values, f"`{{{name}}}` in `{path}` is a new kind of parameter: say here how to attack it"
        return f"{before}/{values[name]}" if before else values[name]

    return _PARAMETER.sub(value, path)


def segment_of(path: str) -> str | None:
    """Return the path segment before the id, None for a path without one: tiles have numbers, the same for everybody."""
    found = _PARAMETER.search(path)
    return None if found is None or found[2] in {"level", "index"} else found[1]


def report_body(agreement: str, **others: Any) -> dict[str, Any]:
    """Return the body of a post that is in order."""
    return {
        "agreement": agreement,
        "scope": "cyber-threats",
        "kind": "intrep",
        "topic": "cyber.apt",
        "regions": ["EUR"],
        "subject": "Canary subject 4711",
        "label": {"policy": "NATO", "classification": "SECRET", "releasable_to": ["GBR", "NOR"]},
        "parts": [{"media_type": "text/plain", "name": "a.txt", "content": "first part", "encoding": "utf-8"}],
        **others,
    }


def kept_state(world: World) -> str:
    """Return all that is in the database but the log and its outbox, to show that nothing was written."""
    names = (
        "policy_state",
        "member",
        "client",
        "client_certificate",
        "agreement",
        "agreement_party",
        "release_class",
        "report",
        "report_part",
        "blob_debris",
        "upload",
        "upload_part",
        "part_piece",
        "idempotency",
        "pending_act",
        "subscription",
        "subscription_delivery",
        "pending_act_end",
        "report_version",
        "report_tombstone",
        "report_past",
        "report_destruction",
        "report_notice",
        "signatory_key",
        "agreement_signature",
        "agreement_signature_end",
        "onward_release",
        "derivation_consent",
        "proxy_consent",
        "caveat_set",
        "information_request",
        "information_request_member",
        "information_request_answer",
        "agreement_amendment",
        "agreement_crisis",
        "duty_breach",
        "consultation",
        "consultation_said",
        "agreement_review",
        "timekeeping",
        "report_walk",
        "shared_key",
    )
    return json.dumps({name: sorted(map(repr, rows)) for name, rows in world.rows_of(*names).items()})
