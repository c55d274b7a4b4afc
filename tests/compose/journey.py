"""`make test-compose`: the composed service under load, with its parts killed, restarted and replaced; nothing is lost.

Steps: (1) members, clients and an agreement, through the edge with real client certificates; (2) a report goes to who
may have it, is nothing to who may not, one of many megabytes too, and nobody passes the edge under another's name; (3) under load of posts and
pulls a node is killed, the database restarted, both nodes replaced by another image; (4) every report that was
acknowledged is there once, and no other; (5) the log verifies.

Run it with the project up: `python -m tests.compose.journey PROJECT`. Exit code 1 where anything is wrong.
"""

import base64
import json
import os
import ssl
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from exchange.client import ExchangeClient
from exchange.client.errors import ConnectionFailedError, ProblemError
from exchange.crypto import ObjectSigningKey, issue_client, new_authority
from exchange.wire import PartBody, ReportBody, SignatoryKeyOffer
from tests.compose.asking import URL, asked, context_of
from tests.compose.project import ROOT, ComposeError, Project, wait_until
from tests.compose.revocation import revoke_at_the_edge
from tests.compose.rights import require_bound

MEMBERS = {"GBR": "United Kingdom", "NOR": "Norway", "DNK": "Denmark"}
AGREEMENT = ROOT / "policies" / "agreements" / "north-sea-cyber.yaml"
POSTERS, PULLERS = 3, 2
_NO_SUCH = 404
_NOW = datetime.now(UTC)
_NEXT = "exchange:next"
_NODES = ("exchange-1", "exchange-2")
_LARGE_BYTES = 24 * 1024 * 1024
"""More than any whole body may have."""
_FEW = 50
"""Entries that may wait at any moment while heartbeats come."""

T = TypeVar("T")


@dataclass
class Load:
    """What the load did: the keys of posts that were begun, and the ids that were acknowledged for them."""

    acknowledged: dict[str, str] = field(default_factory=dict)
    begun: set[str] = field(default_factory=set)
    pulls: int = 0
    failures: int = 0
    wrong: list[str] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)


def main(name: str) -> int:
    """Run every step and return the exit code."""
    project = Project(name)
    with tempfile.TemporaryDirectory() as folder:
        try:
            _journey(project, Path(folder))
        except ComposeError as exc:
            _say(f"WRONG  {exc}")
            return 1
    _say("all steps are right")
    return 0


def _journey(project: Project, folder: Path) -> None:
    # (1) through the edge
    for code, told in MEMBERS.items():
        project.exchange("member", "add", code, "--name", told)
    doors = {name: _enrolled(project, folder, name) for name in ("GBR-desk", "NOR-desk", "DNK-desk")}
    agreement = _agreed(project, doors)
    _say(f"right  three states have signed the agreement {agreement} through the edge")
    # (2) released, invisible, impersonated
    first = _exchanged(doors, agreement)
    _say(f"right  GBR posted {first}, NOR pulled the same bytes, to DNK it is not there")
    large = _exchanged_in_pieces(folder, doors, agreement)
    _say(f"right  GBR sent {_LARGE_BYTES >> 20} MiB by themselves, NOR pulled the same bytes")
    _no_other_name_passes(folder, doors)
    _say("right  without a certificate, with an unknown one, under another's name: nobody passes")
    for node in (*_NODES, "jobs"):
        require_bound(project, node)
    _say("right  the database lets neither node nor jobs change or delete an entry, nor undo what forbids it")
    with _client(doors["NOR-desk"]) as client:
        desk = client.whoami().id
    revoke_at_the_edge(project, folder, doors["NOR-desk"], desk)
    _say("right  what NOR's own authority has revoked is refused at the edge, and nothing else is")
    # (3) under load
    load = Load()
    threads = _under_way(load, doors, agreement)
    try:
        for told, act in (
            ("killed exchange-1", _kill_node),
            ("restarted the database", _restart_database),
            ("replaced both nodes by another image, one by one", _roll),
        ):
            before = len(load.acknowledged)
            act(project)
            wait_until(lambda: len(load.acknowledged) > before + 20, "posts to go on")  # noqa: B023  asked at once
            _say(f"right  {told}; {len(load.acknowledged)} posts acknowledged, {load.failures} asked again")
    finally:
        load.stopping.set()
        for thread in threads:
            thread.join(60)
    # (4) counted
    _nothing_is_lost_or_doubled(load, doors, {first, large})
    _say(
        f"right  {len(load.acknowledged)} acknowledged reports are there once each, none beside them; {load.pulls} pulls"
    )
    # (5) proven
    wait_until(lambda: _is_sequenced(project), "the log to be signed to its end")
    project.exchange("audit", "verify")
    _say("right  the log verifies")


def _enrolled(project: Project, folder: Path, name: str) -> dict[str, Path]:
    member = name.partition("-")[0]
    roles = ("contributor", "reader", "signatory")
    words = [word for role in roles for word in ("--role", role)]
    out = f"/tmp/{name}"
    project.exchange(
        "client", "enrol", name, "--member", member, "--agency", "DESK", *words, "--clearance", "SECRET", "--out", out
    )
    (folder / name).mkdir()
    for file, text in json.loads(project.compose("exec", "-T", "jobs", "python", "-c", _SHOW, out)).items():
        (folder / name / file).write_text(text)
        (folder / name / file).chmod(0o600)
    return {each: folder / name / f"{each}.pem" for each in ("client", "ca")} | {"key": folder / name / "client.key"}


_SHOW = (
    "import json, pathlib, sys;"
    " print(json.dumps({each.name: each.read_text() for each in pathlib.Path(sys.argv[1]).iterdir()}))"
)


def _client(door: Mapping[str, Path]) -> ExchangeClient:
    return ExchangeClient(URL, cert=door["client"], key=door["key"], ca=door["ca"])


def _agreed(project: Project, doors: Mapping[str, Mapping[str, Path]]) -> str:
    proposed = project.exchange("agreement", "propose", "/dev/stdin", "--json", given=AGREEMENT.read_bytes())
    agreement: str = json.loads(proposed)["id"]
    state = "draft"
    for door in doors.values():
        key = ObjectSigningKey.new(os.urandom)
        offer = SignatoryKeyOffer.of(key).model_dump_json().encode()
        with _client(door) as client:
            project.exchange("client", "signature-key", "add", client.whoami().id, "/dev/stdin", given=offer)
            state = client.sign_agreement(agreement, key).state
    if state != "in_force":
        raise ComposeError(f"the agreement is `{state}` after all have signed")
    return agreement


def _report(agreement: str, text: str) -> ReportBody:
    return ReportBody.model_validate(
        {
            "agreement": agreement,
            "scope": "cyber-threats",
            "kind": "intrep",
            "topic": "cyber.apt",
            "regions": ["EUR"],
            "precedence": "ROUTINE",
            "subject": "Seen at the edge",
            "label": {"policy": "NATO", "classification": "SECRET", "releasable_to": ["GBR", "NOR"]},
            "parts": [{"media_type": "text/plain", "name": "note.txt", "content": text, "encoding": "utf-8"}],
        }
    )


def _exchanged(doors: Mapping[str, Mapping[str, Path]], agreement: str) -> str:
    text = "The same infrastructure again, two days later. " * 40
    with _client(doors["GBR-desk"]) as client:
        posted = client.post_report(_report(agreement, text))
    with _client(doors["NOR-desk"]) as client:
        pulled = client.pull_report(posted.id)
    if pulled.parts[0].content != text:
        raise ComposeError("what NOR pulled is not what GBR posted")
    with _client(doors["DNK-desk"]) as client:
        try:
            client.pull_report(posted.id)
        except ProblemError as exc:
            if exc.status == _NO_SUCH:
                return posted.id
            raise ComposeError(f"DNK was told {exc.status}, not 404") from exc
    raise ComposeError("DNK pulled what is not releasable to it")


def _exchanged_in_pieces(folder: Path, doors: Mapping[str, Mapping[str, Path]], agreement: str) -> str:
    file = folder / "capture.bin"
    file.write_bytes(os.urandom(_LARGE_BYTES))
    part = PartBody(media_type="application/octet-stream", name=file.name, size_bytes=_LARGE_BYTES)
    report = _report(agreement, "").model_copy(update={"complete": False, "parts": [part]})
    with _client(doors["GBR-desk"]) as client:
        posted = client.uploads.post_files(report, [file])
    with _client(doors["NOR-desk"]) as client:
        pulled = client.pull_report(posted.id)
        content = b"".join(client.content(posted.id, pulled.parts[0]))
    if content != file.read_bytes():
        raise ComposeError("what NOR pulled in pieces is not what GBR sent")
    return posted.id


def _no_other_name_passes(folder: Path, doors: Mapping[str, Mapping[str, Path]]) -> None:
    gbr, dnk = doors["GBR-desk"], doors["DNK-desk"]
    # DNK's own certificate, and in the header that the edge sets the one of GBR
    escaped = quote(gbr["client"].read_text(), safe="")
    der = base64.b64encode(ssl.PEM_cert_to_DER_cert(gbr["client"].read_text())).decode()
    for forged in ({"Client-Cert": escaped}, {"Client-Cert": f":{der}:"}, {"client_cert": escaped}):
        told = asked(context_of(dnk, dnk), forged)
        if b'"DNK"' not in told or b'"GBR"' in told:
            raise ComposeError(f"DNK asked with {sorted(forged)} of GBR and was answered {told[:300]!r}")
    # no certificate, and one of an authority that nobody knows
    stranger = issue_client(new_authority("Elsewhere", _NOW), "GBR-desk", organisation="GBR", now=_NOW)
    own = {"client": folder / "stranger.pem", "key": folder / "stranger.key"}
    own["client"].write_bytes(stranger.certificate_pem)
    own["key"].write_bytes(stranger.key_pem)
    for context in (context_of(dnk, None), context_of(dnk, own)):
        told = asked(context, {"Client-Cert": escaped})
        if told:
            raise ComposeError(f"without a valid certificate one was answered {told[:300]!r}")


def _under_way(load: Load, doors: Mapping[str, Mapping[str, Path]], agreement: str) -> list[threading.Thread]:
    def posting() -> None:
        with _client(doors["GBR-desk"]) as client:
            while not load.stopping.is_set():
                key = str(uuid.uuid4())
                load.begun.add(key)
                posted = _until_answered(load, lambda: client.post_report(_report(agreement, key), idempotency_key=key))  # noqa: B023
                load.acknowledged[key] = posted.id

    def pulling() -> None:
        with _client(doors["NOR-desk"]) as client:
            while not load.stopping.is_set():
                for key, report in list(load.acknowledged.items())[-5:]:
                    pulled = _until_answered(load, lambda: client.pull_report(report))  # noqa: B023
                    load.pulls += 1
                    if pulled.parts[0].content != key:
                        load.wrong.append(report)
                time.sleep(0.05)

    threads = [threading.Thread(target=act, daemon=True) for act in (*[posting] * POSTERS, *[pulling] * PULLERS)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(load.acknowledged) > 20, "the first posts under load")
    return threads


def _until_answered(load: Load, ask: Callable[[], T]) -> T:
    """Ask until there is an answer, as an agency's own program would: the same key, so that nothing is doubled."""
    while True:
        try:
            return ask()
        except (ProblemError, ConnectionFailedError) as exc:
            if isinstance(exc, ProblemError) and exc.status not in {429, 503}:
                load.wrong.append(f"{exc.status} {exc}")
                raise
            load.failures += 1
            time.sleep(0.3)


def _kill_node(project: Project) -> None:
    project.docker("kill", "--signal", "KILL", project.container("exchange-1"))
    time.sleep(5)
    # The engine starts again what died, but not what was killed by its own verb.
    project.docker("start", project.container("exchange-1"))
    project.wait_healthy("exchange-1")


def _restart_database(project: Project) -> None:
    project.docker("restart", project.container("database"))
    for service in ("database", "exchange-1", "exchange-2"):
        project.wait_healthy(service)


def _roll(project: Project) -> None:
    project.docker(
        "build", "-t", _NEXT, "-", given=b"FROM exchange:local\nLABEL org.opencontainers.image.version=next\n"
    )
    for service in ("migration", "exchange-1", "exchange-2", "jobs"):
        wait = () if service == "migration" else ("--wait",)
        project.compose("up", "-d", "--no-deps", "--no-build", *wait, service, EXCHANGE_IMAGE=_NEXT)
        if service != "migration":
            project.wait_healthy(service)
    running = {json.loads(project.docker("inspect", project.container(each)))[0]["Config"]["Image"] for each in _NODES}
    if running != {_NEXT}:
        raise ComposeError(f"after the roll the nodes run {sorted(running)}")


def _nothing_is_lost_or_doubled(load: Load, doors: Mapping[str, Mapping[str, Path]], before: set[str]) -> None:
    if load.wrong:
        raise ComposeError(f"{len(load.wrong)} answers were wrong, such as {load.wrong[0]}")
    # A post that was begun and not answered when the load stopped may be there or not: it is asked for once more.
    with _client(doors["GBR-desk"]) as client:
        listed = [header.id for header in client.reports()]
    counted = Counter(report for report in listed if report not in before)
    doubled = [report for report, count in counted.items() if count > 1]
    lost = sorted(set(load.acknowledged.values()) - set(counted))
    beside = sorted(set(counted) - set(load.acknowledged.values()))
    if doubled or lost or len(set(load.acknowledged.values())) != len(load.acknowledged):
        raise ComposeError(f"{len(lost)} acknowledged reports are lost, {len(doubled)} listed twice")
    if len(beside) > len(load.begun) - len(load.acknowledged):
        raise ComposeError(f"{len(beside)} reports are there that nobody posted")


def _is_sequenced(project: Project) -> bool:
    waiting: int = json.loads(project.exchange("status", "--json"))["log_waiting"]
    return waiting < _FEW


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
