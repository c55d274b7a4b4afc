"""The members' part of the demo, over mutual TLS: sign, post, pull, and compare byte for byte."""

import hashlib
from collections.abc import Mapping

from exchange.agreements import verify_texts
from exchange.cli.demo import cast
from exchange.cli.demo.inputs import Input, marked, post_inputs
from exchange.cli.demo.refusing import is_as_if_absent
from exchange.cli.demo.stage import Stage
from exchange.client import ExchangeClient
from exchange.crypto import ObjectSigningKey
from exchange.wire import AgreementEvidenceBody, HeaderBody, PulledReportBody


def sign_by_all(stage: Stage) -> None:
    """Have every party sign; the agreement is in force with the last signature and not before."""
    states: list[str] = []
    with stage.script.step("the agreement is signed by its parties") as check:
        for player in (cast.GBR, cast.NOR, cast.DNK):
            with stage.connect(player) as client:
                states.append(client.sign_agreement(stage.agreement, stage.keys[player.name]).state)
        with stage.connect(cast.GBR) as client:
            is_signed = _is_signed(client.agreement_evidence(stage.agreement), stage.keys)
        found = f"{', '.join(cast.PARTIES)} signed the text, each with its own keys: {states[-1]}"
        is_right = states == ["draft", "draft", "in_force"] and is_signed
        check(found if is_signed else "the signatures are not theirs", is_right=is_right)
        with stage.connect(cast.ESP) as client:
            seen = client.agreements()
        is_absent = is_as_if_absent(stage, cast.ESP, f"/v1/agreements/{stage.agreement}", stage.agreement)
        found = f"{len(seen)} listed, and asked for by its id it is {'absent' if is_absent else 'there'}"
        stage.script.check("ESP, no party, sees no agreement", found, is_right=not seen and is_absent)


def _is_signed(evidence: AgreementEvidenceBody, keys: Mapping[str, ObjectSigningKey]) -> bool:
    """Return whether each party signed, with the key that its signatory made for itself."""
    own = [keys[player.name].verifying_key.key_id for player in (cast.GBR, cast.NOR, cast.DNK)]
    findings = verify_texts(evidence.to_texts(), evidence.to_keys(), trusted=own)
    used = {each.key.key_id for text in evidence.to_texts() for each in text.signatures}
    return all(finding.is_good for finding in findings) and used == set(own)


def exchange_reports(stage: Stage) -> None:
    """Post as GBR, pull as NOR: the inputs, then the first of them again with a compartment."""
    every, first = dict(stage.inputs), dict(list(stage.inputs.items())[:1])
    with stage.script.step("GBR posts, NOR pulls"):
        report = _post(stage, every, marked(cast.MARKING, every))
        _pull(stage, report, every)
        compartmented = _post(stage, first, marked(cast.COMPARTMENTED_MARKING, first))
        _pull(stage, compartmented, first)
        with stage.connect(cast.NOR_REVOKED) as client:
            _check_content(stage, cast.NOR_REVOKED.name, client, client.pull_report(report.id), every)


def post(
    stage: Stage,
    player: cast.Player,
    inputs: Mapping[str, Input],
    marking: str,
    *,
    scope: str = cast.SCOPE,
    kind: str = "intrep",
) -> HeaderBody:
    """Post inputs as one report, which the stage remembers, and return its header."""
    fields = {
        "agreement": stage.agreement,
        "scope": scope,
        "kind": kind,
        "topic": "cyber.apt",
        "regions": ["EUR"],
        "precedence": "PRIORITY",
        "subject": cast.SUBJECT,
    }
    with stage.connect(player) as client:
        header = post_inputs(client, inputs, marking, fields)
    stage.reports.append(header.id)
    stage.names[header.id] = f"no. {len(stage.reports)}"
    return header


def _post(stage: Stage, inputs: Mapping[str, Input], marking: str) -> HeaderBody:
    header = post(stage, cast.GBR, inputs, marking)
    size = sum(len(each.content) for each in inputs.values())
    found = f"{len(inputs)} parts, {size:,} bytes, as {header.marking}"
    is_right = header.marking == marking and header.originator == "GBR"
    stage.script.check(f"GBR posts report {stage.names[header.id]}", found, is_right=is_right)
    return header


def _pull(stage: Stage, posted: HeaderBody, inputs: Mapping[str, Input]) -> None:
    name = stage.names[posted.id]
    with stage.connect(cast.NOR) as client:
        listed = [header.id for header in client.reports()]
        stage.script.check(
            f"NOR finds report {name} in its list", f"{len(listed)} listed", is_right=posted.id in listed
        )
        pulled = client.pull_report(posted.id)
        is_whole = pulled.subject == cast.SUBJECT and pulled.marking == posted.marking
        stage.script.check(f"NOR pulls report {name}", f"{pulled.marking}: {pulled.subject}", is_right=is_whole)
        _check_content(stage, "NOR", client, pulled, inputs)


def _check_content(
    stage: Stage, who: str, client: ExchangeClient, pulled: PulledReportBody, inputs: Mapping[str, Input]
) -> None:
    got = {part.name: b"".join(client.content(pulled.id, part)) for part in pulled.parts}
    digests = ", ".join(f"{name} {hashlib.sha256(content).hexdigest()[:12]}" for name, content in got.items())
    name = f"{who} has the bytes that GBR posted ({stage.names[pulled.id]})"
    stage.script.check(
        name, f"SHA-256 {digests}", is_right=got == {name: each.content for name, each in inputs.items()}
    )
