"""The treaty: foreseen, proposed, signed, verified by who trusts nobody, amended by who came first, suspended."""

import json
import tempfile
from pathlib import Path

from exchange.agreements.strict_yaml import read_yaml
from exchange.cli.demo.agreements import cast
from exchange.cli.demo.agreements.reporting import is_hidden, post, require_pulled
from exchange.cli.demo.cast import Player
from exchange.cli.demo.convicting import run_apart
from exchange.cli.demo.stage import Stage
from exchange.client import ProblemError
from exchange.wire import AgreementAmendmentBody, AgreementBody


def negotiate(stage: Stage) -> None:
    """Foresee what the text would do, propose it, sign it; the stage's agreement is in force after it."""
    script = stage.script
    terms = _json(cast.text_of_two(stage.began_on))
    with script.step("Britain sees what its draft would do before anybody else does") as check:
        with stage.connect(cast.GBR_SIGNATORY) as client:
            outlook = client.simulate_agreement(terms)
        kept = [each.id for each in _seen_by(stage, cast.GBR_SIGNATORY, cast.NOR_SIGNATORY)]
        found = f"{len(outlook.lines)} lines, {'some' if kept else 'none'} of it kept"
        check(found, is_right=bool(outlook.own) and not kept)
    with script.step("Britain proposes the text") as check:
        with stage.connect(cast.GBR_SIGNATORY) as client:
            proposed = client.propose_agreement(terms)
        stage.agreement = proposed.id
        stage.names[proposed.id] = "arrangement"
        seen = [each.id for each in _seen_by(stage, cast.NOR_SIGNATORY)]
        check(f"{proposed.title}: {proposed.state}", is_right=proposed.state == "draft" and seen == [proposed.id])
    with script.step("both states sign the same text") as check:
        states = [_sign(stage, player) for player in (cast.GBR_SIGNATORY, cast.NOR_SIGNATORY)]
        check(" -> ".join(states), is_right=states == ["draft", "in_force"])
    _verify_apart(stage, texts=1)


def amend(stage: Stage) -> None:
    """Let two amendments race to bring Denmark in; the loser is told so, and older reports stay where they were."""
    script, first_day = stage.script, stage.began_on
    with script.step("a report that its label would let Denmark have"):
        older = post(stage, cast.GBR_DESK, cast.WIDE_MARKING)
    with script.step("Norway proposes that Denmark accedes") as check:
        with stage.connect(cast.NOR_SIGNATORY) as client:
            first = client.amend_agreement(stage.agreement, _json(cast.text_with_third(first_day)))
        told = next((line for line in first.changes if "readable to DNK" in line), "nothing about Denmark")
        check(told, is_right=told == "0 current reports become readable to DNK, 0 are lost")
    with script.step("Britain proposes another wording meanwhile") as check:
        with stage.connect(cast.GBR_SIGNATORY) as client:
            other = cast.text_with_third(first_day, f"{cast.TITLE} between three")
            second = client.amend_agreement(stage.agreement, _json(other))
        found = f"amendments {first.number} and {second.number} lie before the parties"
        check(found, is_right=second.state == "proposed")
    with script.step("all three sign the first one") as check:
        for player in (cast.GBR_SIGNATORY, cast.NOR_SIGNATORY, cast.DNK_SIGNATORY):
            _sign(stage, player, first)
        with stage.connect(cast.DNK_SIGNATORY) as client:
            now = client.agreement(stage.agreement)
        parties = ", ".join(party.member for party in now.parties)
        check(f"edition {now.edition} binds {parties}", is_right=(now.edition, now.text) == (first.edition, first.text))
    _refuse_overtaken(stage, second)
    _verify_apart(stage, texts=2)
    with script.step("Denmark reads what is posted from now on"):
        newer = post(stage, cast.GBR_DESK, cast.WIDE_MARKING)
        require_pulled(stage, cast.DNK_DESK, newer)
        found = "the text says nothing of older reports"
        script.check("and nothing that is older", found, is_right=is_hidden(stage, cast.DNK_DESK, older))


def suspend(stage: Stage) -> None:
    """Let Norway suspend its part, and take it up again: with the next request, in both directions."""
    script = stage.script
    with script.step("Norway suspends its part") as check:
        report = post(stage, cast.GBR_DESK, cast.WIDE_MARKING)
        require_pulled(stage, cast.NOR_DESK, report)
        with stage.connect(cast.NOR_SIGNATORY) as client:
            client.suspend_agreement(stage.agreement)
        check("its desk finds nothing, with the next request", is_right=is_hidden(stage, cast.NOR_DESK, report))
        require_pulled(stage, cast.DNK_DESK, report)
    with script.step("Norway takes it up again") as check:
        with stage.connect(cast.NOR_SIGNATORY) as client:
            state = client.resume_agreement(stage.agreement).state
        check(state, is_right=state == "in_force")
        require_pulled(stage, cast.NOR_DESK, report)


def _seen_by(stage: Stage, *players: Player) -> list[AgreementBody]:
    found: list[AgreementBody] = []
    for player in players:
        with stage.connect(player) as client:
            found += client.agreements()
    return found


def _sign(stage: Stage, player: Player, amendment: AgreementAmendmentBody | None = None) -> str:
    key = stage.keys[player.name]
    with stage.connect(player) as client:
        if amendment is None:
            return client.sign_agreement(stage.agreement, key).state
        return client.sign_text(amendment.to_text(stage.agreement), key).state


def _refuse_overtaken(stage: Stage, amendment: AgreementAmendmentBody) -> None:
    name, code = "the other amendment came too late and is told so", "signed all the same"
    with stage.script.step(name) as check:
        try:
            _sign(stage, cast.DNK_SIGNATORY, amendment)
        except ProblemError as exc:
            code = str(exc.code)
        check(code, is_right=code == "amendment-overtaken")


def _verify_apart(stage: Stage, *, texts: int) -> None:
    """Write the agreement with its signatures to a file, and verify it in a process that has nothing else."""
    name = f"anybody verifies the signatures from a file alone ({texts} of {texts} texts)"
    with stage.script.step(name) as check, tempfile.TemporaryDirectory(prefix="exchange-treaty-") as temporary:
        desk = Path(temporary)
        with stage.connect(cast.NOR_SIGNATORY) as client:
            evidence = client.agreement_evidence(stage.agreement)
        (desk / "treaty.json").write_text(evidence.model_dump_json())
        code, told = run_apart(desk, "agreement", "verify", "treaty.json", "--json")
        found = f"{len(evidence.texts)} texts, {len(evidence.keys)} keys, Ed25519 and ML-DSA-65"
        is_right = code == 0 and len(evidence.texts) == texts
        check(found if is_right else str(told), is_right=is_right)


def _json(text: str) -> bytes:
    return json.dumps(read_yaml(text).value).encode()
