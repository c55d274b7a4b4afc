"""Everybody who must be refused, tried over real connections: the answer, its sameness, and what it gave away."""

import json
import os
from dataclasses import dataclass

import httpx2

from exchange.cli.demo import cast
from exchange.cli.demo.operating import FOREIGNER, STRANGER
from exchange.cli.demo.stage import Refused, Stage
from exchange.client import ConnectionFailedError, ExchangeClient, ProblemError, client_context
from exchange.kernel import new_id, system_clock

# Every answer has its own of these; all else must be the same for absent and forbidden.
_OWN_HEADERS = frozenset({"x-request-id", "x-audit-entry", "x-audit-leaf", "date"})
_NOT_FOUND, _FORBIDDEN, _NOT_AUTHENTICATED = 404, 403, 401


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it came over the wire. `sameness` is all of it but what every answer has of its own."""

    status: int
    code: str
    request_id: str
    sameness: tuple[object, ...]


def refuse_everybody(stage: Stage) -> None:
    """Try the reports as each who may not have them; absent and invisible must be one answer."""
    first, compartmented = stage.reports
    _invisible(stage, cast.DNK, first, "DNK (a party, not releasable)", "not-releasable")
    _invisible(stage, cast.ESP, first, "ESP (no party)", "not-a-party")
    _invisible(stage, cast.NOR_EXPIRED, first, "NOR with an expired clearance", "clearance-expired")
    _invisible(stage, cast.NOR_LOWER, first, "NOR cleared RESTRICTED only", "above-clearance")
    _invisible(stage, cast.NOR_PLAIN, compartmented, "NOR without the compartment", "missing-compartment")
    _forbidden(stage, cast.OPERATOR, "the exchange's operator", "role-missing")


def refuse_revoked(stage: Stage) -> None:
    """Try as a client that could read a moment ago and has been revoked since."""
    _forbidden(stage, cast.NOR_REVOKED, "a revoked client", "client-suspended")


def refuse_strangers(stage: Stage) -> None:
    """Try with certificates that nobody enrolled: one of the trusted authority, one of another."""
    script, name = stage.script, "a certificate that nobody enrolled"
    with script.step(name) as check:
        answer = ask(stage, STRANGER, f"/v1/reports/{stage.reports[0]}")
        is_right = (answer.status, answer.code) == (_NOT_AUTHENTICATED, "not-authenticated")
        check(f"{answer.status} {answer.code}", is_right=is_right)
        stage.refused.append(Refused(name, answer.request_id, "not-authenticated"))
    name = "a certificate of a foreign authority"
    with script.step(name) as check:
        try:
            with ExchangeClient.at(stage.endpoint(FOREIGNER)) as client:
                client.whoami()
        except ConnectionFailedError:
            check("the handshake fails", is_right=True)
        except ProblemError as exc:
            check(f"the handshake holds, and it is answered: {exc.status}", is_right=False)
        else:
            check("it was let in", is_right=False)


def ask(stage: Stage, who: str, path: str) -> Answer:
    """Return the answer to a GET as it came, refusals included."""
    endpoint = stage.endpoint(who)
    context = client_context(endpoint.cert, endpoint.key, endpoint.ca)
    with httpx2.Client(base_url=stage.url, verify=context, trust_env=False, timeout=30.0) as http:
        answer = http.get(path)
    request_id = answer.headers.get("x-request-id", "")
    headers = sorted((name, value) for name, value in answer.headers.items() if name not in _OWN_HEADERS)
    body = answer.content.replace(request_id.encode(), b"") if request_id else answer.content
    return Answer(answer.status_code, _code(answer.content), request_id, (answer.status_code, tuple(headers), body))


def is_as_if_absent(stage: Stage, player: cast.Player, path: str, id: str) -> bool:  # noqa: A002
    """Return whether `path` answers a player as it answers with an id of nothing in the place of `id`."""
    absent = _absent(stage)
    answer, nothing = (ask(stage, player.name, each) for each in (path, path.replace(id, absent)))
    return answer.status == _NOT_FOUND and answer.sameness == nothing.sameness


def _invisible(stage: Stage, player: cast.Player, report: str, told: str, reason: str) -> None:
    with stage.script.step(told) as check:
        absent = _absent(stage)
        is_same = True
        for route in ("", "/parts/1", "/explanation"):
            answer = ask(stage, player.name, f"/v1/reports/{report}{route}")
            nothing = ask(stage, player.name, f"/v1/reports/{absent}{route}")
            is_same = is_same and answer.status == _NOT_FOUND and answer.sameness == nothing.sameness
            stage.refused.append(Refused(told, answer.request_id, reason))
        with stage.connect(player) as client:
            listed = [header.id for header in client.reports()]
        is_right = is_same and report not in listed
        found = (
            "refused as if it did not exist, and not in its list" if is_right else "it can tell that there is a report"
        )
        check(found, is_right=is_right)


def _forbidden(stage: Stage, player: cast.Player, told: str, reason: str) -> None:
    with stage.script.step(told) as check:
        paths = (f"/v1/reports/{stage.reports[0]}", f"/v1/reports/{stage.reports[0]}/parts/1", "/v1/reports")
        answers = [ask(stage, player.name, path) for path in paths]
        is_right = all((answer.status, answer.code) == (_FORBIDDEN, reason) for answer in answers)
        stage.refused.extend(Refused(told, answer.request_id, reason) for answer in answers)
        check(" ".join(dict.fromkeys(f"{answer.status} {answer.code}" for answer in answers)), is_right=is_right)


def _absent(stage: Stage) -> str:
    absent = new_id(system_clock(), os.urandom)
    stage.names[absent] = "that does not exist"
    return absent


def _code(body: bytes) -> str:
    try:
        value = json.loads(body)
    except ValueError:
        return ""
    return str(value.get("code", "")) if isinstance(value, dict) else ""
