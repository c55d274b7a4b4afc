"""`exchange agreement key|sign|export|verify`: what is signed, with which keys, and how anybody checks it."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from exchange.agreements import TextFinding, verify_texts
from exchange.agreements.strict_yaml import read_yaml
from exchange.cli import output
from exchange.cli.agreement_group import IdArgument, agreements, parties_of, show_agreement, text_fields, warn_of_past
from exchange.cli.asking import YesOption, ask, is_asked
from exchange.cli.instance import Host, read_text, write_new
from exchange.cli.program import FAILED
from exchange.cli.usage import UsageError
from exchange.cli.verbs import JsonOption, Where, either_verb, member_verb
from exchange.cli.whole_lists import lists_whole
from exchange.client import ExchangeClient
from exchange.crypto import ObjectSigningKey, ObjectVerifyingKey
from exchange.kernel import InvalidError, UnsafeSettingError
from exchange.wire import AgreementAmendmentBody, AgreementEvidenceBody, SignatoryKeyOffer, UnopenedBody, read_evidence

_OTHERS = 0o077
_TAKE_BACK = "`exchange agreement take-back` takes it back"
SigningKeyOption = Annotated[
    Path | None,
    typer.Option("--signing-key", metavar="FILE", help="Your signatory's key file [EXCHANGE_SIGNING_KEY]."),
]


@agreements.command("key")
def make_key(
    out: Annotated[Path, typer.Argument(metavar="FILE", help="Where the key goes; FILE.pub is for the operator.")],
    as_json: JsonOption = False,
) -> None:
    """Make a signatory's key: Ed25519 and ML-DSA-65. Nobody but you reads the file."""
    key = ObjectSigningKey.new(os.urandom)
    public = out.with_name(f"{out.name}.pub")
    if os.path.lexists(public):
        # Before a key is made whose public half nobody could have: it is written beside it, this once.
        raise UnsafeSettingError(f"`{public}` exists already: nothing is overwritten")
    write_new(out, key.to_pem(), mode=0o600)
    try:
        write_new(public, SignatoryKeyOffer.of(key).model_dump_json(indent=1).encode() + b"\n", mode=0o644)
    except BaseException:
        out.unlink()
        raise
    told = {"id": key.verifying_key.key_id, "key": str(out), "public": str(public)}
    output.show_record(told, title="made; give the public file to your member's operator", as_json=as_json)


@agreements.command("sign")
@member_verb
def sign(
    client: ExchangeClient,
    id: IdArgument,  # noqa: A002
    signing_key: SigningKeyOption = None,
    amendment: Annotated[
        int | None, typer.Option("--amendment", metavar="N", help="Sign this amendment, as `amendments` shows it.")
    ] = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Sign the agreement's text for your member (signatory), with a key that never leaves you."""
    key = read_signing_key(signing_key)
    # INVARIANT: what is signed is what was shown, whatever lies before the parties by then.
    stands: dict[str, object]
    if amendment is None:
        body = client.agreement(id)
        text, stands = body.to_text(), {"state": body.state, "signed by": parties_of(body)}
    else:
        proposed = _amendment(client, id, amendment)
        text, stands = proposed.to_text(id), {**_amendment_fields(proposed), "until all have signed": _TAKE_BACK}
    if is_asked(yes=yes):
        # Last, and all of it: from what will be signed, not from what the exchange says that it is or changes.
        ask("signs this text for your member", {"id": id, **stands, **text_fields(text)}, is_final=amendment is None)
    show_agreement(client.sign_text(text, key), "signed", as_json=as_json)


@agreements.command("take-back")
@member_verb
def take_back(
    client: ExchangeClient,
    id: IdArgument,  # noqa: A002
    amendment: Annotated[int, typer.Option("--amendment", metavar="N", help="As `amendments` shows it.")],
    signing_key: SigningKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take back your member's signature (signatory) under an amendment that not everybody has signed yet."""
    key = read_signing_key(signing_key)
    text = _amendment(client, id, amendment).to_text(id)
    _show_amendments(id, [client.take_back_signature(text, key)], as_json=as_json)


@agreements.command("amend")
@member_verb
def amend(
    client: ExchangeClient,
    id: IdArgument,  # noqa: A002
    file: Annotated[Path, typer.Argument(metavar="FILE.yaml", help="The whole text as it shall be.")],
    as_json: JsonOption = False,
) -> None:
    """Lay another text of an agreement before those who have to sign it (signatory); it says what changes."""
    document = read_yaml(read_text(file))
    if document.faults:
        raise InvalidError("the agreement file has faults", tuple(document.faults))
    made = client.amend_agreement(id, json.dumps(document.value).encode())
    _show_amendments(id, [made], as_json=as_json)
    warn_of_past(made.terms["validity"]["until"], then="with the last signature under it the agreement has expired")


@agreements.command("amendments")
@member_verb
@lists_whole("amendments")
def list_amendments(client: ExchangeClient, id: IdArgument, as_json: JsonOption = False) -> None:  # noqa: A002
    """List an agreement's amendments, who has signed each, and in words what it changes (signatory)."""
    _show_amendments(id, client.amendments(id), as_json=as_json)


@agreements.command("export")
@either_verb
async def export(
    where: Where,
    id: IdArgument,  # noqa: A002
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where it goes.")],
    as_json: JsonOption = False,
) -> None:
    """Write every text of an agreement with its signatures and keys, for `exchange agreement verify`."""
    if isinstance(where, Host):
        from exchange.usecases import export_agreement

        recorded = await export_agreement(where.services, where.call(), id)
        found, lacking = recorded.value, [UnopenedBody(id=None)] * recorded.unopened
        body = AgreementEvidenceBody.of(found.agreement.id, found.texts, found.keys)
        body = body.model_copy(update={"unopened": lacking})
    else:
        body = where.agreement_evidence(id)
    unwritten = set() if body.unopened else {"unopened"}
    write_new(out, body.model_dump_json(indent=1, exclude=unwritten).encode() + b"\n", mode=0o600)
    told = {"id": body.agreement, "file": str(out), "texts": len(body.texts), "keys": len(body.keys)}
    output.show_record(told, title="exported", as_json=as_json)
    if body.unopened:
        output.warn(
            f"{len(body.unopened)} keys are not in it, for what is stored of them is damaged or was altered: tell the"
            " exchange's operator, and export again once that is mended"
        )
        raise typer.Exit(1)


@agreements.command("verify")
def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `exchange agreement export` wrote.")],
    key: Annotated[
        list[Path] | None,
        typer.Option("--key", metavar="FILE.pub", help="A key that you trust; others are no good then. Repeatable."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Verify an agreement's texts and signatures with this file alone; exit 1 where anything is wrong."""
    body = _evidence(file)
    trusted = [_public_key(path).key_id for path in key or ()]
    findings = verify_texts(body.to_texts(), body.to_keys(), trusted=trusted)
    if not trusted:
        output.warn(
            "whose the keys are, this file alone says, and whoever made it may have made them too: name with `--key` "
            "those that the signatories gave you"
        )
    _show_findings(body.agreement, findings, are_keys_trusted=bool(trusted), as_json=as_json)
    if not all(finding.is_good for finding in findings):
        raise typer.Exit(FAILED)


def read_signing_key(given: Path | None) -> ObjectSigningKey:
    """Return the signatory's key: of the option, or of EXCHANGE_SIGNING_KEY; one that others can read is refused."""
    named = given or os.environ.get("EXCHANGE_SIGNING_KEY")
    if not named:
        raise UsageError("which key? give `--signing-key FILE` or set EXCHANGE_SIGNING_KEY")
    path = Path(named)
    text = read_text(path)
    if path.stat().st_mode & _OTHERS:
        raise UnsafeSettingError(f"`{path}` can be read by others: run `chmod 600 {path}`, and make a new key")
    return ObjectSigningKey.from_pem(text.encode())


def read_offer(path: Path) -> SignatoryKeyOffer:
    """Return what `exchange agreement key` wrote for the operator."""
    try:
        return SignatoryKeyOffer.model_validate_json(read_text(path))
    except ValidationError as exc:
        raise InvalidError(f"`{path}` is no public key file of `exchange agreement key`") from exc


def _amendment(client: ExchangeClient, agreement: str, number: int) -> AgreementAmendmentBody:
    found = next((each for each in client.amendments(agreement) if each.number == number), None)
    if found is None:
        raise InvalidError(f"there is no amendment {number}: see `exchange agreement amendments`")
    return found


def _show_amendments(agreement: str, bodies: list[AgreementAmendmentBody], *, as_json: bool) -> None:
    if as_json:
        output.show_json([{"id": agreement, **body.model_dump(mode="json")} for body in bodies])
        return
    for body in bodies:
        output.show_record(_amendment_fields(body), title=f"amendment {body.number}")


def _amendment_fields(body: AgreementAmendmentBody) -> dict[str, object]:
    parties = ", ".join(f"{party.member} {party.state}" for party in body.parties)
    changes = {f"change {number}": change for number, change in enumerate(body.changes, start=1)}
    return {"state": body.state, "text": body.text, "parties": parties, **changes}


def _public_key(path: Path) -> ObjectVerifyingKey:
    return ObjectVerifyingKey.from_raw(*read_offer(path).raw())


def _evidence(path: Path) -> AgreementEvidenceBody:
    try:
        return read_evidence(read_text(path).encode())
    except InvalidError as exc:
        raise InvalidError(f"`{path}` is no export of an agreement: {exc.message}") from exc


def _show_findings(agreement: str, findings: tuple[TextFinding, ...], *, are_keys_trusted: bool, as_json: bool) -> None:
    is_good = all(finding.is_good for finding in findings)
    if as_json:
        told = [{"edition": each.edition, "found": each.told, "ok": each.is_good} for each in findings]
        output.show_json({"id": agreement, "ok": is_good, "keys_trusted": are_keys_trusted, "findings": told})
        return
    rows = [(each.edition, each.told, "ok" if each.is_good else "WRONG") for each in findings]
    output.show_table(("edition", "found", ""), rows, title=f"agreement {agreement}")
    output.show_line("all of it verifies" if is_good else "NOT ALL OF IT VERIFIES")
